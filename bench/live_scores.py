"""What the events of a live stream are worth: delays of words, errors, retractions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jiwer
import numpy as np

from bench.live_client import Received, Stream
from bench.live_speech import Speech, SpokenWord
from tools.speech_models.scoring import WordErrors, normalize, word_errors

_SLACK = 0.5
"""Seconds around an utterance in which a word's end may lie."""
_PARTLY = 0.3
"""Seconds before its end at which a word may be known already; its delay is then 0."""


class Delays(NamedTuple):
    """Seconds from the end of a word in the sound, one for each word that was heard right."""

    shown: list[float]
    """To the first partial (or final) that has it."""
    confirmed: list[float]
    """To the first that has it among what never changes."""


def delays(speech: Speech, stream: Stream) -> Delays:
    """The delays of the words of a stream."""
    found = Delays([], [])
    begun = 0.0
    for final in stream.of("final"):
        number, end = final.event["utterance"], final.event["end"]
        said = [word for word in speech.words if begun < word.end <= end + _SLACK]
        said = [word for word in said if word.end >= final.event["start"] - _SLACK]
        partials = [one for one in stream.of("partial") if one.event["utterance"] == number]
        found.shown.extend(_first_times(said, [(one.at, _all_words(one)) for one in (*partials, final)]))
        found.confirmed.extend(_first_times(said, [(one.at, one.event["text"]) for one in (*partials, final)]))
        begun = end
    return found


def _all_words(one: Received) -> str:
    return f"{one.event['text']} {one.event.get('unstable', '')}"


def _first_times(said: Sequence[SpokenWord], shown: Iterable[tuple[float, str]]) -> list[float]:
    first: dict[int, float] = {}
    for at, text in shown:
        heard = normalize(text)
        spoken = [word.text for word in said if word.end <= at + _PARTLY]
        if not heard or not spoken:
            continue
        for number in _same(" ".join(normalize(word) for word in spoken), heard):
            first.setdefault(number, max(0.0, at - said[number].end))
    return list(first.values())


def _same(said: str, heard: str) -> list[int]:
    """Numbers of the words that are heard right."""
    chunks = jiwer.process_words(said, heard).alignments[0]
    return [number for c in chunks if c.type == "equal" for number in range(c.ref_start_idx, c.ref_end_idx)]


def retractions(stream: Stream) -> int:
    """How often confirmed text did not go on in the next text of its utterance."""
    count = 0
    confirmed: dict[int, str] = {}
    for one in stream.received:
        if one.event["type"] in {"partial", "final"}:
            number, text = one.event["utterance"], one.event["text"]
            count += not text.startswith(confirmed.get(number, ""))
            confirmed[number] = text
    whole: str = stream.of("transcription")[-1].event["transcription"]
    return count + int(whole != final_text(stream))


def final_text(stream: Stream) -> str:
    """All finals."""
    return " ".join(one.event["text"] for one in stream.of("final"))


def wrongly_confirmed(speech: Speech, stream: Stream) -> WordErrors:
    """Errors in what was confirmed while utterances were open, each against the nearest beginning of what was said."""
    errors, count, begun = 0, 0, 0.0
    for final in stream.of("final"):
        end = final.event["end"]
        said = [normalize(word.text) for word in speech.words if begun < word.end <= end]
        begun = end
        partials = [one for one in stream.of("partial") if one.event["utterance"] == final.event["utterance"]]
        confirmed = normalize(partials[-1].event["text"]).split() if partials else []
        errors += _distance_to_beginning(confirmed, said)
        count += len(confirmed)
    return WordErrors(errors=errors, words=count)


def _distance_to_beginning(words: Sequence[str], said: Sequence[str]) -> int:
    row = list(range(len(said) + 1))
    for number, word in enumerate(words, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(said, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return min(row)


def error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Word error rate over all (said, heard) together, in percent."""
    return 100 * word_errors(pairs).rate


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` percent lie; infinite where there is none."""
    return float(np.percentile(values, share)) if values else float("inf")
