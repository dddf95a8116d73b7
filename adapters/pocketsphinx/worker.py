"""The program of a decoder process. It imports PocketSphinx and nothing of this service, to be ready at once.

On its input: requests, each one letter, 4 bytes of length (little-endian) and that many bytes of signed 16-bit mono
samples at 16 kHz. ``W`` is a whole utterance; ``B`` begins one that is still being said, ``M`` brings more of it, ``E``
the end of it. ``W`` and ``B`` drop one that has not ended. On its output: one line of JSON when it is ready and one for
each request, either ``{"words": […]}`` with ``[word, start, end, probability]`` for all that the utterance seems to
say, times in seconds, fillers included, or ``{"error": "…"}``. It ends when its input does, and so with its parent.
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


_MEAN_BYTES: Final = 38_400
"""1.2 s, from which the mean of an utterance's features is taken while it is still being said."""

_Found = list[tuple[str, float, float, float]]


class _SpeechDetector:
    """Says whether there was speech: the decoder hears words in perfect silence."""

    def __init__(self) -> None:
        # 0.12 s of speech within 0.15 s is shorter than any word.
        self._endpointer = Endpointer(window=0.15, ratio=0.8)
        self._rest = b""
        self.found = False

    def take(self, sound: bytes) -> None:
        """Look at the next sound."""
        if self.found:
            return
        size = self._endpointer.frame_bytes
        sound = self._rest + sound
        whole = len(sound) // size * size
        self._rest = sound[whole:]
        frames: Iterator[bytes] = (sound[i : i + size] for i in range(0, whole, size))
        self.found = any(self._endpointer.process(frame) is not None for frame in frames)


class _Listener:
    """A decoder, and the utterance that it is hearing."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._speech: _SpeechDetector | None = None

    def whole(self, utterance: bytes) -> _Found:
        """Hear a whole utterance."""
        self._drop()
        speech = _SpeechDetector()
        speech.take(utterance)
        if not speech.found:
            return []
        self._hear_whole(utterance)
        return self._found()

    def begin(self, sound: bytes) -> _Found:
        """Begin an utterance.

        Its features are measured against their mean, which is known when it is over. That of its first second comes
        close: without it one word in ten is heard otherwise than in ``whole``, with it one in a hundred.
        """
        self._drop()
        self._hear_whole(sound[:_MEAN_BYTES])
        mean = self._decoder.get_cmn()
        self._decoder.reinit_feat()
        self._decoder.set_cmn(mean)
        self._decoder.start_utt()
        self._speech = _SpeechDetector()
        return self.more(sound)

    def more(self, sound: bytes) -> _Found:
        """Go on with the utterance that was begun."""
        speech = self._take(sound)
        return self._found() if speech.found else []

    def end(self, sound: bytes) -> _Found:
        """Hear the rest of the utterance that was begun."""
        speech = self._take(sound)
        self._drop()
        return self._found() if speech.found else []

    def _take(self, sound: bytes) -> _SpeechDetector:
        speech = self._speech
        if speech is None:
            raise RuntimeError("no utterance was begun")
        if sound:
            speech.take(sound)
            self._decoder.process_raw(sound)
        return speech

    def _drop(self) -> None:
        if self._speech is not None:
            self._speech = None
            self._decoder.end_utt()

    def _hear_whole(self, utterance: bytes) -> None:
        self._decoder.reinit_feat()  # else the noise that it has tracked in one utterance changes how it hears the next
        self._decoder.start_utt()
        try:
            # At once: its own mean is taken off its features, which hears far better than a running one.
            self._decoder.process_raw(utterance, full_utt=True)
        finally:
            self._decoder.end_utt()

    def _found(self) -> _Found:
        return [
            (found.word, found.start_frame / _FRAMES_PER_SECOND, (found.end_frame + 1) / _FRAMES_PER_SECOND, found.prob)
            for found in self._decoder.seg() or ()
        ]


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    def answer(**fields: object) -> None:
        answers.write(json.dumps(fields).encode() + b"\n")
        answers.flush()

    try:
        listener = _Listener(Decoder(loglevel="FATAL"))  # at INFO it logs what it hears
    except Exception as err:
        answer(error=f"{type(err).__name__}: {err}")
        return
    kinds = {b"W": listener.whole, b"B": listener.begin, b"M": listener.more, b"E": listener.end}
    answer(ready=True)
    while len(header := requests.read(5)) == 5:
        size = int.from_bytes(header[1:], "little")
        sound = requests.read(size)
        if len(sound) < size:
            return
        try:
            answer(words=kinds[header[:1]](sound))
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
