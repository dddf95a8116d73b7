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
from typing import Any, Final

import granian._signals
import structlog

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_log = structlog.stdlib.get_logger("app.server")


def finish_before_stop(finish: Callable[[], Awaitable[None]]) -> None:
    """Have the Granian worker of this process await ``finish`` before it stops; a second signal does not wait."""
    take_signals: Any = granian._signals.set_loop_signals

    def set_loop_signals(loop: asyncio.AbstractEventLoop) -> Any:
        stop = take_signals(loop)
        finishing: list[asyncio.Task[None]] = []

        async def finish_then_stop() -> None:
            try:
                await finish()
            except Exception as err:
                _log.exception("unexpected_error", exc_info=err)
            finally:
                stop.set()

        def on_signal() -> None:
            if finishing:
                stop.set()
            else:
                finishing.append(loop.create_task(finish_then_stop()))

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal)
        return stop

    granian._signals.set_loop_signals = set_loop_signals
