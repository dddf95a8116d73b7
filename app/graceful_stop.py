"""A stop that lets live streams say their last words.

On SIGTERM, Granian waits for requests, but takes a WebSocket's transport away at once: its client would lose what was
heard and see the connection break. So in its worker the signal first ends the streams, and then goes to Granian. It
has no public hook for that: ``granian._signals.set_loop_signals`` is where a worker takes its signals, and
``tests/end_to_end/test_live_stop.py`` holds this to its promise.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import granian._signals
import structlog

from app.hand_over import HAND_OVER

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_log = structlog.stdlib.get_logger("app.server")


def finish_before_stop(finish: Callable[[], Awaitable[None]], leave: Callable[[], Awaitable[None]]) -> None:
    """Have the Granian worker of this process end what it does before it stops; a second stop does not wait.

    Args:
        finish: Awaited before a stop.
        leave: Awaited before that where another worker has taken over (``HAND_OVER``).
    """
    take_signals: Any = granian._signals.set_loop_signals

    def set_loop_signals(loop: asyncio.AbstractEventLoop) -> Any:
        stop = take_signals(loop)
        stops = 0
        tasks: set[asyncio.Task[None]] = set()

        async def finish_then_stop(*, handing_over: bool) -> None:
            try:
                if handing_over:
                    await leave()
                await finish()
            except Exception as err:
                _log.exception("unexpected_error", exc_info=err)
            finally:
                stop.set()

        def begin(*, handing_over: bool) -> None:
            if not tasks:
                tasks.add(loop.create_task(finish_then_stop(handing_over=handing_over)))

        def on_stop() -> None:
            nonlocal stops
            stops += 1
            if stops > 1:
                stop.set()
            begin(handing_over=False)

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_stop)
        loop.add_signal_handler(HAND_OVER, partial(begin, handing_over=True))
        return stop

    granian._signals.set_loop_signals = set_loop_signals
