"""The program of a decoder process. It imports PocketSphinx and nothing of this service, to be ready at once.

On its input: utterances, each 4 bytes of length (little-endian) and that many bytes of signed 16-bit mono samples at
16 kHz. On its output: one line of JSON when it is ready and one for each utterance, either ``{"words": […]}`` with
``[word, start, end, probability]``, times in seconds, fillers included, or ``{"error": "…"}``. It ends when its input
does, and so with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from pocketsphinx import Decoder, Endpointer

_FRAMES_PER_SECOND: Final = 100


def _has_speech(utterance: bytes) -> bool:
    # The decoder hears words in perfect silence. 0.12 s of speech within 0.15 s is shorter than any word.
    endpointer = Endpointer(window=0.15, ratio=0.8)
    size = endpointer.frame_bytes
    frames: Iterator[bytes] = (utterance[i : i + size] for i in range(0, len(utterance) - size + 1, size))
    return any(endpointer.process(frame) is not None for frame in frames)


def _decode(decoder: Any, utterance: bytes) -> list[tuple[str, float, float, float]]:
    if not _has_speech(utterance):
        return []
    decoder.reinit_feat()  # else the noise that it has tracked in one utterance changes how it hears the next
    decoder.start_utt()
    try:
        # A whole utterance at once: its own mean is taken off its features, which hears far better than a running one.
        decoder.process_raw(utterance, full_utt=True)
    finally:
        decoder.end_utt()
    return [
        (found.word, found.start_frame / _FRAMES_PER_SECOND, (found.end_frame + 1) / _FRAMES_PER_SECOND, found.prob)
        for found in decoder.seg() or ()
    ]


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    def answer(**fields: object) -> None:
        answers.write(json.dumps(fields).encode() + b"\n")
        answers.flush()

    try:
        decoder = Decoder(loglevel="FATAL")  # at INFO it logs what it hears
    except Exception as err:
        answer(error=f"{type(err).__name__}: {err}")
        return
    answer(ready=True)
    while len(header := requests.read(4)) == 4:
        size = int.from_bytes(header, "little")
        utterance = requests.read(size)
        if len(utterance) < size:
            return
        try:
            answer(words=_decode(decoder, utterance))
        except Exception as err:
            answer(error=f"{type(err).__name__}: {err}")


if __name__ == "__main__":
    # Ctrl+C and a service manager signal the whole group; the parent finishes what runs and then closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints does not break the protocol
    try:
        _serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        sys.stderr.close()
