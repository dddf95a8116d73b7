"""Texts on their way to a voice: what is refused, and where sentences end."""

from __future__ import annotations

import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import TextInvalid
from domain.text import LONGEST, plain, require_speakable, sentences, speakable


@pytest.mark.parametrize("text", ["a", "5", "¿sí?", "Привет", "你好", "ñ", "  x  ", "٣"])
def test_a_letter_or_digit_of_any_script_can_be_spoken(text: str) -> None:
    assert speakable(text)
    require_speakable(text)


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "¿?¡!", "😀", "—", "\x00", "_", "\N{COMBINING ACUTE ACCENT}"])
def test_a_text_without_any_is_refused(text: str) -> None:
    assert not speakable(text)
    with pytest.raises(TextInvalid) as refusal:
        require_speakable(text)
    assert refusal.value.code == "text_invalid"


def test_plain_text_has_no_control_character_and_no_lone_surrogate() -> None:
    assert plain("a\x00b\x01c\x1bd\x7fe\x85f\ud800g") == "a b c d e f g"
    assert plain("tab\tand\nline ñ 😀 你") == "tab\tand\nline ñ 😀 你"


def test_plain_text_has_its_accents_composed() -> None:
    assert plain("man\N{COMBINING TILDE}ana") == "mañana"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn it on. Where is it? Stop!", ["Turn it on.", "Where is it?", "Stop!"]),
        ("no capital. no problem", ["no capital.", "no problem"]),
        ("Pi is 3.5 or so. Version 1.2.3 too.", ["Pi is 3.5 or so.", "Version 1.2.3 too."]),
        ("See example.com. Bye.", ["See example.com.", "Bye."]),
        ("Dr. Smith met Mr. J. Brown.", ["Dr. Smith met Mr. J. Brown."]),
        (
            "At 5 a.m. on Monday. We leave at 6 p.m. Be there.",
            ["At 5 a.m. on Monday.", "We leave at 6 p.m.", "Be there."],
        ),
        ("At 5 p.m. 3 people came.", ["At 5 p.m. 3 people came."]),
        ("Apples, etc. and more, etc. Then tea.", ["Apples, etc. and more, etc.", "Then tea."]),
        ("No. I don't. No. 5 is here.", ["No.", "I don't.", "No. 5 is here."]),
        ("It was I. Then he.", ["It was I.", "Then he."]),
        ("Well... maybe. Then... Nothing.", ["Well... maybe.", "Then...", "Nothing."]),
        ('"Why?" he asked. "Because." She left.', ['"Why?" he asked.', '"Because."', "She left."]),
        ("1. Open it. 2. Close it.", ["1. Open it.", "2. Close it."]),
        ("¿Cómo estás? ¡Muy bien! ¿Y tú?", ["¿Cómo estás?", "¡Muy bien!", "¿Y tú?"]),
        ("¡Hola!, dijo. ¿Qué? ¡no!", ["¡Hola!, dijo.", "¿Qué?", "¡no!"]),
        ("El Sr. Gil (pág. 3) vive en EE.UU. desde hoy.", ["El Sr. Gil (pág. 3) vive en EE.UU. desde hoy."]),
        ("Dijo: «Hola.» Luego se fue… Y volvió…", ["Dijo: «Hola.»", "Luego se fue…", "Y volvió…"]),
        ("Frutas, p. ej. peras. Fin.", ["Frutas, p. ej. peras.", "Fin."]),
        ("你好。世界！好吗？", ["你好。", "世界！", "好吗？"]),
        ("One line\nwraps here.\n\nA heading\n \nA text", ["One line wraps here.", "A heading", "A text"]),
        ("...! Really? — ...", ["Really?"]),
        ("", []),
        (" \n ?! ", []),
    ],
)
def test_sentences_end_where_a_reader_would_pause(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


def test_a_long_sentence_is_cut_at_its_commas() -> None:
    clause = "one two three four five six seven"
    pieces = list(sentences(", ".join([clause] * 12) + "."))
    assert len(pieces) > 1
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert all(piece.endswith(("seven,", "seven.")) for piece in pieces)
    assert " ".join(pieces) == ", ".join([clause] * 12) + "."


def test_one_without_commas_is_cut_between_words_and_one_word_anywhere() -> None:
    assert list(sentences("aaa bbb ccc ddd", longest=8)) == ["aaa bbb", "ccc ddd"]
    assert list(sentences("a" * 20, longest=8)) == ["a" * 8, "a" * 8, "a" * 4]


@given(st.text(alphabet=st.sampled_from("aB1 .,!?…¿¡\n\"'()。-"), max_size=80), st.integers(4, 30))
def test_nothing_speakable_is_lost_and_no_piece_is_too_long(text: str, longest: int) -> None:
    pieces = list(sentences(text, longest=longest))
    assert all(len(piece) <= longest and speakable(piece) and piece == piece.strip() for piece in pieces)
    assert [c for c in "".join(pieces) if c.isalnum()] == [c for c in text if c.isalnum()]


@pytest.mark.parametrize(
    "unit",
    ["a", "a. ", ".", "!", ". ", '."', "a,", "。", "Dr. ", "a.", "\n", "\n \n", "¿", "a\N{COMBINING ACUTE ACCENT}"],
)
def test_time_grows_no_faster_than_the_text(unit: str) -> None:
    start = time.perf_counter()
    assert list(sentences(unit * (200_000 // len(unit)) + "a"))
    assert time.perf_counter() - start < 3


def test_the_first_sentence_does_not_wait_for_the_last() -> None:
    start = time.perf_counter()
    assert list(islice(sentences("Hello there. " * 100_000), 2)) == ["Hello there.", "Hello there."]
    assert time.perf_counter() - start < 1.5
