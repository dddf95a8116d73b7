"""One utterance: what stands of it is never taken back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.live.utterance import Utterance
from domain.transcript import Segment, Word
from domain.words import joined

RATE = 16_000


def segments(*texts: str, length: float = 0.5, start: float = 0.0, timed: bool = True) -> list[Segment]:
    """Segments whose words take ``length`` seconds each."""
    found = []
    for text in texts:
        words = [
            Word(start=start + n * length, end=start + (n + 1) * length, word=word, probability=0.5)
            for n, word in enumerate(text.split())
        ]
        found.append(
            Segment(start=start, end=words[-1].end, text=text, words=tuple(words) if timed else None),
        )
        start = words[-1].end
    return found


def hear(utterance: Utterance, found: list[Segment], *, until: float, speaking: bool = True) -> None:
    utterance.covered = utterance.start + round(until * RATE)
    utterance.hear(found, speaking=speaking, trim_after=10.0, sample_rate=RATE)


def test_two_hypotheses_confirm_what_both_heard() -> None:
    utterance = Utterance(0, 0)
    hear(utterance, segments("turn on"), until=2.0)
    hear(utterance, segments("turn on the"), until=2.5)
    assert utterance.standing == ["turn", "on"]
    assert utterance.unstable == ["the"]


def test_words_that_no_two_hypotheses_had_sound_for_do_not_stand() -> None:
    utterance = Utterance(0, 0)
    hear(utterance, segments("turn on the light"), until=1.7)
    hear(utterance, segments("turn on the light please"), until=2.2)
    assert utterance.standing == ["turn", "on"]


def test_without_word_times_agreement_alone_decides() -> None:
    utterance = Utterance(0, 0)
    hear(utterance, segments("turn on the", timed=False), until=1.0)
    hear(utterance, segments("turn on the light", timed=False), until=1.5)
    assert utterance.standing == ["turn", "on", "the"]


def test_a_long_window_lets_go_of_segments_that_stand() -> None:
    utterance = Utterance(0, 1000)
    for until in (11.0, 12.0):
        hear(utterance, segments("a b c d e f g h i j k l", "m n o p q r s t"), until=until)
    assert utterance.window == 1000 + 6 * RATE
    assert utterance.kept == "a b c d e f g h i j k l".split()
    assert utterance.standing == "a b c d e f g h i j k l m n o p q r s".split()
    hear(utterance, segments("m n o p q r s t u"), until=12.5)
    assert utterance.standing[-2:] == ["s", "t"]


def test_a_short_window_keeps_its_segments() -> None:
    utterance = Utterance(0, 0)
    for until in (8.0, 9.0):
        hear(utterance, segments("a b c d", "e f g h"), until=until)
    assert utterance.window == 0


def test_a_hypothesis_with_other_words_than_those_that_stand_moves_no_window() -> None:
    utterance = Utterance(0, 0)
    for until in (8.0, 9.0):
        hear(utterance, segments("a b c d e f g h i"), until=until)
    hear(utterance, segments("x y", "c d e f g h i j"), until=12.0)
    assert utterance.window == 0
    assert utterance.standing == "a b c d e f g h".split()


def test_the_window_never_passes_the_sound() -> None:
    utterance = Utterance(0, 0)
    for until in (10.2, 10.4):
        utterance.covered = round(until * RATE)
        found = segments("a b c", "d e", length=3.5, timed=False)
        utterance.hear(found, speaking=True, trim_after=10.0, sample_rate=RATE)
    assert utterance.kept == ["a", "b", "c"]
    assert utterance.window == utterance.covered


def test_the_final_is_what_stands_and_what_was_heard_after_it() -> None:
    utterance = Utterance(0, 0)
    for until in (3.0, 4.0):
        hear(utterance, segments("turn of the light"), until=until)
    text, words = utterance.final(segments("Turn off the light please.", length=1.0))
    assert text == "turn of the light please."
    assert [word.word for word in words] == text.split()
    assert [word.start for word in words] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_final_of_which_nothing_stood_is_what_was_heard() -> None:
    found = segments("turn on", "the light")
    text, words = Utterance(0, 0).final(found)
    assert text == "turn on the light"
    assert words == tuple(word for segment in found for word in segment.words or ())


def test_what_stands_stays_when_the_last_hearing_is_empty() -> None:
    utterance = Utterance(0, 0)
    for until in (2.0, 3.0):
        hear(utterance, segments("turn on the"), until=until)
    assert utterance.final([])[0] == "turn on"


def test_a_final_without_word_times_has_no_words() -> None:
    assert Utterance(0, 0).final(segments("turn on", timed=False)) == ("turn on", ())


def test_words_of_a_final_with_more_or_fewer_words_than_stood_have_times_in_order() -> None:
    utterance = Utterance(0, 0)
    for until in (3.0, 4.0):
        hear(utterance, segments("a b c d e"), until=until)
    text, words = utterance.final(segments("a c d e f"))
    assert [word.word for word in words] == text.split()
    assert all(0.0 <= word.start <= word.end <= 2.5 for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


_word = st.sampled_from(["a", "A,", "b", "b.", "c", "d"])
_segment = st.lists(_word, min_size=1, max_size=5).map(" ".join)
_hypothesis = st.tuples(
    st.lists(_segment, max_size=4),
    st.floats(0.0, 3.0),
    st.booleans(),
    st.sampled_from([0.2, 0.5, 1.5]),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_hypothesis, max_size=8), st.lists(_segment, max_size=5), st.booleans())
def test_what_stands_is_the_beginning_of_all_that_stands_later_and_of_the_final(
    hypotheses: list[tuple[list[str], float, bool, float, bool]], last: list[str], timed: bool
) -> None:
    utterance, covered, stood = Utterance(0, 512), 0.0, [""]
    for texts, more, speaking, length, with_times in hypotheses:
        covered += more
        hear(utterance, segments(*texts, length=length, timed=with_times), until=covered, speaking=speaking)
        stood.append(" ".join(utterance.standing))
        assert utterance.start <= utterance.window <= utterance.covered
    text, words = utterance.final(segments(*last, timed=timed))
    for before, after in zip(stood, [*stood[1:], text], strict=True):
        assert after[: len(before)] == before
        assert after[len(before) :][:1] in {"", " "} or not before
    assert not words or [word.word for word in words] == text.split() or not timed


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(_word, max_size=8), max_size=8), st.lists(_segment, max_size=3))
def test_nor_does_an_engine_that_streams_take_anything_back(hypotheses: list[list[str]], last: list[str]) -> None:
    utterance, stood = Utterance(0, 0), ""
    for words in hypotheses:
        utterance.hear_all(words, speaking=True)
        now = " ".join(utterance.standing)
        assert now.startswith(stood)
        stood = now
    assert utterance.final(segments(*last))[0].startswith(stood)


def spaceless(*words: str) -> list[Segment]:
    """A segment in a language that puts no spaces, with words as its engine times them."""
    timed = [
        Word(start=0.5 * number, end=0.5 * number + 0.5, word=word, probability=0.5)
        for number, word in enumerate(words)
    ]
    return [Segment(start=0.0, end=timed[-1].end, text="".join(words), words=tuple(timed))]


def test_languages_without_spaces_are_confirmed_as_they_are_said() -> None:
    utterance = Utterance(0, 0)
    hear(utterance, spaceless("请", "打开"), until=1.0)
    hear(utterance, spaceless("请", "打开", "客厅"), until=1.6)
    assert joined(utterance.standing) == "请"  # the rest had hardly been heard by then
    hear(utterance, spaceless("请", "打开", "客厅", "的", "灯。"), until=2.6)
    assert joined(utterance.standing) == "请打开"
    assert joined(utterance.unstable) == "客厅的灯。"
    text, words = utterance.final(spaceless("请", "打开", "客厅", "的", "灯。"))
    assert text == "请打开客厅的灯。"
    assert [word.word for word in words] == ["请", "打开", "客厅", "的", "灯。"]
