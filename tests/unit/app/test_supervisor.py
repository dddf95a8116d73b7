"""The supervisor's word to its main loop."""

from __future__ import annotations

import signal
import threading
from typing import Any

from app.supervisor import _Word


def test_a_signal_that_comes_to_another_thread_is_heard() -> None:
    word, over = _Word(), threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    before = signal.signal(signal.SIGUSR2, lambda *_: word.set())
    try:
        threading.Timer(0.2, lambda: signal.pthread_kill(other.ident or 0, signal.SIGUSR2)).start()
        assert word.wait(5)
    finally:
        signal.signal(signal.SIGUSR2, before)
        over.set()
        other.join()


def test_a_signal_within_a_signal_is_heard() -> None:
    word = _Word()
    within = signal.signal(signal.SIGUSR1, lambda *_: word.set())

    def first(*_: Any) -> None:
        for _time in range(1000):
            signal.raise_signal(signal.SIGUSR1)
            word.set()

    outer = signal.signal(signal.SIGUSR2, first)
    try:
        signal.raise_signal(signal.SIGUSR2)
        assert word.is_set()
    finally:
        signal.signal(signal.SIGUSR1, within)
        signal.signal(signal.SIGUSR2, outer)


def test_no_word_in_time() -> None:
    word = _Word()
    assert not word.wait(0.01)
    word.set()
    word.clear()
    assert not word.wait(0.01)
