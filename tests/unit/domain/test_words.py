"""Words of texts, with and without spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.words import joined, normalized, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Turn on,  the light.", ["Turn", "on,", "the", "light."]),
        ("¿Qué tiempo hace?", ["¿Qué", "tiempo", "hace?"]),
        ("I can't — really", ["I", "can't", "—", "really"]),
        ("你好，世界。", ["你", "好，", "世", "界。"]),
        ("今日は3月です", ["今", "日", "は", "3", "月", "で", "す"]),
        ("我爱Python编程", ["我", "爱", "Python", "编", "程"]),
        ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_the_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    "text", ["Turn on, the light.", "你好，世界。", "今日は3月です", "我爱Python编程", "กินข้าว", "한국어 문장", ""]
)
def test_joined_they_are_the_text_again(text: str) -> None:
    assert joined(words_of(text)) == text


def test_texts_of_one_language_are_joined_as_it_is_written() -> None:
    assert joined(["Good morning.", "", "How are you?"]) == "Good morning. How are you?"
    assert joined(["你好。", "世界。"]) == "你好。世界。"


@given(st.text())
def test_nothing_is_lost(text: str) -> None:
    assert normalized(joined(words_of(text))) == normalized(text)
    assert all(word and not any(c.isspace() for c in word) for word in words_of(text))
