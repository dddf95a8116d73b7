"""The recent sound of a stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.live.sound import RecentSound


def counted(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)


def test_samples_are_addressed_by_their_number_from_the_start_of_the_stream() -> None:
    sound = RecentSound()
    sound.append(counted(0, 1000))
    sound.forget(300)
    sound.append(counted(1000, 500))
    assert (sound.start, sound.end) == (300, 1500)
    assert np.array_equal(sound.between(900, 1100), counted(900, 200))


def test_what_is_forgotten_or_has_not_come_is_left_out() -> None:
    sound = RecentSound()
    sound.append(counted(0, 100))
    sound.forget(40)
    assert np.array_equal(sound.between(0, 60), counted(40, 20))
    assert np.array_equal(sound.between(90, 1000), counted(90, 10))
    assert len(sound.between(0, 20)) == len(sound.between(60, 50)) == len(sound.between(500, 600)) == 0


def test_what_was_taken_does_not_change() -> None:
    sound = RecentSound()
    sound.append(counted(0, 100))
    taken = sound.between(50, 100)
    sound.forget(100)
    sound.append(np.zeros(200, np.float32))
    assert np.array_equal(taken, counted(50, 50))


def test_forgetting_more_than_there_is_leaves_nothing() -> None:
    sound = RecentSound()
    sound.append(counted(0, 100))
    sound.forget(1000)
    assert (sound.start, sound.end) == (100, 100)
    sound.forget(-5)
    assert sound.start == 100


def test_hours_of_it_take_no_more_room_than_a_second() -> None:
    sound = RecentSound()
    second = np.zeros(16_000, np.float32)
    for _ in range(4 * 3600):
        sound.append(second)
        sound.forget(sound.end - 16_000)
    assert sound.end == 4 * 3600 * 16_000
    assert len(sound._buffer) <= 1 << 16


def test_room_for_a_long_utterance_is_given_back() -> None:
    sound = RecentSound()
    sound.append(np.zeros(30 * 16_000, np.float32))
    sound.forget(sound.end - 16_000)
    assert len(sound._buffer) <= 1 << 17


@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 70_000)), max_size=12))
def test_it_holds_what_came(steps: list[tuple[int, int]]) -> None:
    sound, all_of_it = RecentSound(), np.zeros(0, np.float32)
    for size, keep in steps:
        piece = counted(len(all_of_it), size)
        all_of_it = np.concatenate([all_of_it, piece])
        sound.append(piece)
        sound.forget(sound.end - keep)
        assert np.array_equal(sound.between(sound.start, sound.end), all_of_it[sound.start :])
