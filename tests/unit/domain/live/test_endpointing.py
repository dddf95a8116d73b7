"""Where utterances begin and end, by scripted probabilities of speech."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from domain.live.endpointing import Closed, Cut, Endpointer, Opened

RATE, FRAME = 16_000, 512
SPEECH, SILENCE = 0.9, 0.05


def endpointer(silence: float = 0.6, max_utterance: float = 20.0) -> Endpointer:
    return Endpointer(sample_rate=RATE, frame=FRAME, silence=silence, max_utterance=max_utterance)


def changes(found: Endpointer, *probabilities: float) -> list[Opened | Closed | Cut]:
    return [change for probability in probabilities if (change := found.take(probability)) is not None]


def frames(seconds: float) -> int:
    return round(seconds * RATE / FRAME)


def test_silence_is_no_utterance() -> None:
    assert changes(endpointer(), *[SILENCE] * 10_000) == []


@pytest.mark.parametrize("click", [1, 2])
def test_a_click_opens_nothing(click: int) -> None:
    assert changes(endpointer(), *([SPEECH] * click + [SILENCE] * 5) * 100) == []


def test_three_frames_of_speech_open_an_utterance_with_the_sound_before_them() -> None:
    found = endpointer()
    (opened,) = changes(found, *[SILENCE] * 50, *[SPEECH] * 3)
    assert opened == Opened(start=50 * FRAME - round(0.3 * RATE), speech=50 * FRAME)
    assert found.is_speaking


def test_speech_at_the_start_of_the_stream_begins_at_its_first_sample() -> None:
    assert changes(endpointer(), *[SPEECH] * 3) == [Opened(start=0, speech=0)]


def test_a_probability_between_the_thresholds_keeps_an_utterance_open_and_opens_none() -> None:
    assert changes(endpointer(), *[0.4] * 1000) == []
    assert len(changes(endpointer(), *[SPEECH] * 3, *[0.4] * 200)) == 1


def test_silence_long_enough_closes_it_a_little_after_the_last_speech() -> None:
    found = endpointer(silence=0.6)
    opened, closed = changes(found, *[SPEECH] * 30, *[SILENCE] * 30)
    assert isinstance(opened, Opened)
    assert closed == Closed(end=30 * FRAME + round(0.3 * RATE), speech=30 * FRAME)


def test_a_pause_shorter_than_that_does_not() -> None:
    found = endpointer(silence=0.6)
    assert len(changes(found, *([SPEECH] * 10 + [SILENCE] * (frames(0.6) - 1)) * 5)) == 1
    assert not found.is_speaking


def test_the_next_utterance_does_not_take_sound_of_the_one_before() -> None:
    first, closed, second = changes(endpointer(silence=0.2), *[SPEECH] * 10, *[SILENCE] * 7, *[SPEECH] * 3)
    assert isinstance(first, Opened)
    assert isinstance(closed, Closed)
    assert isinstance(second, Opened)
    assert second.start == closed.end > second.speech - round(0.3 * RATE)


def test_closing_ends_it_where_the_sound_ends() -> None:
    found = endpointer()
    changes(found, *[SPEECH] * 10)
    assert found.close() == Closed(end=10 * FRAME, speech=10 * FRAME)
    assert found.close() is None


def test_closing_while_nobody_speaks_does_nothing() -> None:
    found = endpointer()
    changes(found, *[SILENCE] * 10)
    assert found.close() is None


def test_speech_that_goes_on_after_closing_is_another_utterance() -> None:
    found = endpointer()
    changes(found, *[SPEECH] * 10)
    found.close()
    assert changes(found, *[SPEECH] * 3) == [Opened(start=10 * FRAME, speech=10 * FRAME)]


def test_a_long_utterance_is_cut_where_speech_is_least_likely_in_its_second_half() -> None:
    found = endpointer(max_utterance=10.0)
    script = [SPEECH] * frames(10.0)
    script[frames(2.0)] = 0.36  # less likely, but too early
    script[frames(7.0)] = 0.5
    opened, cut = changes(found, *script, SPEECH)
    assert isinstance(opened, Opened)
    assert isinstance(cut, Cut)
    assert cut.at == frames(7.0) * FRAME + FRAME // 2
    assert found.is_speaking


def test_speech_without_end_is_cut_again_and_again_and_no_sound_is_lost_or_taken_twice() -> None:
    found = endpointer(max_utterance=5.0)
    cuts = [change for change in changes(found, *[SPEECH] * frames(60.0)) if isinstance(change, Cut)]
    bounds = [0, *(cut.at for cut in cuts)]
    lengths = [(b - a) / RATE for a, b in pairwise(bounds)]
    assert len(cuts) >= 11
    assert all(0 < length <= 5.0 for length in lengths)


def test_a_cut_takes_no_sound_whose_words_stand_already() -> None:
    found = endpointer(max_utterance=10.0)
    script = [SPEECH] * (frames(10.0) + 1)
    script[frames(7.0)] = 0.4
    script[frames(8.5)] = 0.5
    settled = frames(8.0) * FRAME
    (cut,) = [change for probability in script if isinstance(change := found.take(probability, settled), Cut)]
    assert cut.at == frames(8.5) * FRAME + FRAME // 2


def test_where_all_sound_is_settled_the_cut_is_at_its_end() -> None:
    found = endpointer(max_utterance=10.0)
    script = [SPEECH] * (frames(10.0) + 1)
    (cut,) = [c for n, p in enumerate(script, 1) if isinstance(c := found.take(p, n * FRAME), Cut)]
    assert frames(10.0) * FRAME <= cut.at <= (frames(10.0) + 1) * FRAME


def test_an_utterance_that_was_cut_in_a_pause_never_ends_before_it_begins() -> None:
    found = endpointer(silence=5.0, max_utterance=5.0)
    *_, cut, closed = changes(found, *[SPEECH] * 10, *[SILENCE] * frames(8.0))
    assert isinstance(cut, Cut)
    assert isinstance(closed, Closed)
    assert closed.end >= cut.at


def test_what_is_no_number_is_no_speech() -> None:
    found = endpointer()
    assert changes(found, *[math.nan] * 100) == []
    opened, closed = changes(found, *[SPEECH] * 3, *[math.nan] * 50)
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
