"""The supervising process: on SIGHUP it starts a second worker and, once that one serves, has the first one leave.

Where another service has taken over its listening socket (``app/listening.py``), a stop has its worker leave likewise.

Granian's own reload waits a fixed time for the new worker, and on Linux each of its workers listens on a socket of its
own, whose waiting connections are reset when it ends. Here the workers share one socket, and the old one stays until
the new one has said that it is ready; where that does not happen, the old one goes on as if nothing had been asked.
``tests/end_to_end/test_reload.py`` holds this to its promise.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

import structlog
from granian.net import SocketHolder, SocketSpec  # type: ignore[attr-defined]
from granian.server.mp import MPServer, WorkerProcess

from app.hand_over import FAREWELL, HAND_OVER, Place
from app.listening import SECRET, Offer, check_address, one_at_a_time, taken_over

_START_PATIENCE: Final = 3600.0
"""Seconds that a new worker has to get ready; it may be downloading a model."""
_TICK: Final = 0.1
"""Seconds between two looks at a worker."""

_log = structlog.stdlib.get_logger("app.server")


class _Word(threading.Event):
    """Word for the main loop, given by signals too.

    ``threading.Event`` is no good there: a handler that interrupts another one's ``set`` waits for its lock for ever,
    and a signal that comes to another thread leaves ``wait`` asleep, with its handler not called.
    """

    def __init__(self) -> None:
        super().__init__()
        self._given = False

    def set(self) -> None:
        self._given = True

    def clear(self) -> None:
        self._given = False

    def is_set(self) -> bool:
        return self._given

    def wait(self, timeout: float | None = None) -> bool:
        """Look ten times a second, for at most ``timeout`` seconds."""
        until = inf if timeout is None else time.monotonic() + timeout
        while not self._given and time.monotonic() < until:
            time.sleep(_TICK)
        return self._given


class Supervisor(MPServer):
    """Granian's supervisor of one worker; its ``target_loader`` is called with a ``Place``.

    Args:
        hand_over: Where the listening socket comes from, if somebody offers one, and goes to; ``None`` is nowhere.
        ready_file: Made when the service is ready; ``None`` makes none.
    """

    _inode: int
    _started: Connection

    def __init__(self, *args: Any, hand_over: Path | None, ready_file: Path | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.main_loop_interrupt = _Word()
        self._hand_over = hand_over
        self._ready_file = ready_file
        self._listening: socket.socket | None = None
        self._secret = token_bytes(SECRET)
        self._takes_over = False
        self._offer: Offer | None = None
        self._alone: ExitStack | None = None

    def find_socket(self) -> None:
        """Take over the listening socket of a service that runs; call this before ``serve``.

        Raises:
            StartError: there is none, and the address is not free.
        """
        with ExitStack() as alone:
            if self._hand_over:
                alone.enter_context(one_at_a_time(self._hand_over))
                if taken := taken_over(self._hand_over, self.bind_addr, self.bind_port):
                    self._listening, self._secret, self._takes_over = *taken, True
            if self._listening is None:
                check_address(self.bind_addr, self.bind_port)
            self._alone = alone.pop_all()  # until it listens, so that two that start at once do not both find it free

    def _init_shared_socket(self) -> None:
        self._ssp = None
        holder: Any
        if self._listening is None:
            holder = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
            self._listening = socket.socket(fileno=holder.get_fd())
        else:
            adopt: Any = SocketHolder  # its arguments are not in its types: descriptor, is it a Unix socket, backlog
            holder = adopt(self._listening.fileno(), False, self.backlog)
        self._shd = holder
        self._listening.set_inheritable(True)
        self._sso = self._listening
        self._inode = os.fstat(self._listening.fileno()).st_ino
        if self._alone:
            self._alone.close()
        if self._hand_over:
            self._offer = Offer(self._hand_over, self._listening, self._secret, shared=self._takes_over)

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        self._mark(ready=False)
        super()._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        (worker,) = self.wrks
        if self._wait_for_start(worker, inf):
            self._takes_over = True  # from here on another worker of this service is there
            self._announce()

    def _announce(self) -> None:
        """Say that the service is ready to those who wait for this one and not for another on the same port."""
        if self._offer:
            try:
                self._offer.open()
            except OSError as err:
                _log.error("hand_over_unavailable", reason=str(err))  # this service itself can do without
        self._mark(ready=True)

    def _mark(self, *, ready: bool) -> None:
        if not self._ready_file:
            return
        try:
            if ready:
                self._ready_file.touch()
            else:
                self._ready_file.unlink(missing_ok=True)
        except OSError as err:
            _log.error("ready_file_unavailable", reason=str(err))

    def _stop_workers(self) -> None:
        if self._offer and self._offer.shared:
            workers: list[Any] = self.wrks
            for worker in workers:
                self._ask_to_leave(worker)
            until = time.monotonic() + FAREWELL + (self.workers_kill_timeout or 0)
            while any(worker.is_alive() for worker in workers) and time.monotonic() < until:
                time.sleep(_TICK)
            for worker in workers:
                if worker.is_alive():
                    self._kill(worker)
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> WorkerProcess:  # type: ignore[override]
        self._started, started = multiprocessing.Pipe(duplex=False)
        place = Place(listening=self._inode, started=started, secret=self._secret, takes_over=self._takes_over)
        return super()._spawn_worker(idx, target, partial(callback_loader, place))

    def _respawn_workers(self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        """Replace the worker, if the new one starts, and see to what was asked or happened before."""
        self._replace_worker(spawn_target, target_loader)
        if self.interrupt_signal or self.interrupt_children or self.reload_signal:
            self.main_loop_interrupt.set()  # Granian cleared it when it began, maybe after one of these was set

    def _replace_worker(self, spawn_target: Any, target_loader: Any) -> None:
        (old,) = self.wrks
        new: Any = self._spawn_worker(0, spawn_target, target_loader)
        new.interrupt_by_parent = True  # its end is no reason to end the service before it has taken over
        new.start()
        if not self._wait_for_start(new, _START_PATIENCE):
            new.kill()
            new.join()
            _log.error("reload_failed", serving="the worker that was there")
            return
        self.wrks[:] = [new]
        self.interrupt_children.clear()  # should the old one have broken down meanwhile
        new.interrupt_by_parent = False
        self._retire(old)
        _log.info("reloaded")

    def _wait_for_start(self, new: Any, patience: float) -> bool:
        until = time.monotonic() + patience
        while new.is_alive() and not self.interrupt_signal and time.monotonic() < until:
            if self._started.poll(_TICK):
                with suppress(EOFError):
                    return bool(self._started.recv_bytes())
                return False
        return False

    def _retire(self, old: Any) -> None:
        """Have a worker end what it does; by force when its time is over."""
        self._ask_to_leave(old)
        until = time.monotonic() + FAREWELL + (self.workers_kill_timeout or 0)
        while old.is_alive() and time.monotonic() < until:
            if self.interrupt_signal:  # the stop of the service waits for both
                self.wrks.append(old)
                return
            old.join(_TICK)
        if old.is_alive():
            self._kill(old)

    def _kill(self, worker: Any) -> None:
        _log.warning("worker_killed", reason="it did not end within server.stop_timeout")
        worker.kill()
        worker.join()

    def _ask_to_leave(self, worker: Any) -> None:
        worker.interrupt_by_parent = True
        if worker.is_alive():
            with suppress(ProcessLookupError):
                os.kill(worker._id(), HAND_OVER)
