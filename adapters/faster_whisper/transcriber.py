"""The port ``Transcriber`` on one loaded faster-whisper model."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from faster_whisper import WhisperModel

from adapters.bridge import Bridge
from domain.audio import Waveform
from domain.errors import EngineFailed, InvalidRequest, ParlanteError, StartError, UnsupportedLanguage
from domain.ports.transcriber import Feature, TranscriberCapabilities
from domain.transcript import Segment, Task, TranscribeOptions, TranscriptEvent, TranscriptionStarted, Word

# faster-whisper fills half of the context with hotwords and half with the text before, and fails where both are full.
_HOTWORD_TOKENS: Final = 100
_DRAFT_MARGIN: Final = 2.56
"""Seconds of silence after the sound of a draft, 128 positions of the encoder (whisper.cpp, issue 1855)."""
_TOKENS_OF_A_DRAFT: Final = (200, 100)
"""At most, without and with hotwords: a loop would go on to 448. faster-whisper refuses what does not fit behind the
longest prompt."""
_REPETITIVE: Final = 2.4
"""Compression ratio from which faster-whisper itself takes a text for a loop."""


class _Gone(Exception):
    """The request has gone away."""


class CancellableWhisper(WhisperModel):  # type: ignore[misc]  # faster-whisper has no types
    """A Whisper model that a request can leave between two windows of 30 s.

    Its segments alone do not tell: an hour of silence has many windows and no segment.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running = threading.local()
        """In each thread, ``gone``: the event of the request that it works for; ``frames``: of a window at most."""

    def encode(self, features: np.ndarray[Any, Any]) -> Any:
        """Encode one window, as faster-whisper does, unless the request is gone; of a draft, the part with sound."""
        gone = getattr(self.running, "gone", None)
        if gone is not None and gone.is_set():
            raise _Gone
        return super().encode(np.ascontiguousarray(features[..., : getattr(self.running, "frames", None)]))


def load(directory: Path, **placement: Any) -> CancellableWhisper:
    """Load a model and decode a moment of silence with it, so that what is missing shows now and not at a request.

    Args:
        directory: A model in CTranslate2's format with its ``tokenizer.json``.
        placement: Arguments of ``faster_whisper.WhisperModel``: device, compute type, threads.

    Raises:
        StartError: it does not load, or does not run.
    """
    try:
        model = CancellableWhisper(str(directory), **placement)
        silence = np.zeros(model.feature_extractor.sampling_rate // 10, np.float32)
        segments, _ = model.transcribe(silence, language="en", beam_size=1, temperature=0.0, max_new_tokens=1)
        list(segments)
    except (RuntimeError, ValueError, OSError) as err:
        raise StartError(
            f"faster-whisper cannot run the model in {directory} on {placement['device']} "
            f"as {placement['compute_type']}: {err}"
        ) from err
    return model


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds where a request does not say."""

    beam_size: int
    """Beams of the search."""
    vad: bool
    """Leave out parts without speech."""
    condition_on_previous_text: bool
    """Give each window the text before it."""
    short_drafts: bool
    """Hear drafts in a window of their own length instead of 30 s."""


class FasterWhisper:
    """A transcriber that hears what bare faster-whisper hears with the same settings, word for word."""

    def __init__(self, model: CancellableWhisper, name: str, defaults: Defaults, bridge: Bridge, parallel: int) -> None:
        self._model = model
        self._defaults = defaults
        self._bridge = bridge
        multilingual: bool = model.model.is_multilingual
        known = [code for code in model.supported_languages if model.hf_tokenizer.token_to_id(f"<|{code}|>")]
        features = set(Feature)
        if not multilingual:
            features -= {Feature.LANGUAGE_DETECTION, Feature.TRANSLATION}
        self.capabilities = TranscriberCapabilities(
            engine="faster-whisper",
            model=name,
            device=model.model.device,
            compute_type=model.model.compute_type,
            sample_rate=model.feature_extractor.sampling_rate,
            languages=("en", *sorted(set(known) - {"en"})) if multilingual else ("en",),
            features=frozenset(features),
            parallel=parallel,
        )

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        """Transcribe ``audio``; see ``domain.ports.transcriber.Transcriber``."""
        if options.language is not None and options.language not in self.capabilities.languages:
            raise UnsupportedLanguage(options.language, self.capabilities.languages)
        gone = threading.Event()
        try:
            async with aclosing(self._bridge.iterate(lambda: self._events(audio, options, gone))) as events:
                async for event in events:
                    yield event
        finally:
            gone.set()

    def _events(self, audio: Waveform, options: TranscribeOptions, gone: threading.Event) -> Iterator[TranscriptEvent]:
        try:
            if len(audio.samples) == 0:
                yield self._started_on_nothing(options)
                return
            frames = self._frames_of_draft(audio) if options.draft and self._defaults.short_drafts else None
            segments, info = self._start(audio, options, gone, frames)
            if frames is not None:
                draft = list(segments)
                segments = iter(draft)
                if any(found.compression_ratio > _REPETITIVE for found in draft):  # lost in the short window
                    segments, info = self._start(audio, options, gone, None)
            yield TranscriptionStarted(
                language=info.language, language_probability=float(info.language_probability), duration=audio.duration
            )
            earliest = 0.0
            while True:
                self._model.running.gone, self._model.running.frames = gone, None  # a step may be in another thread
                found = next(segments, None)
                if found is None:
                    return
                segment = _segment(found, earliest, audio.duration)
                if segment is not None:
                    earliest = segment.start
                    yield segment
        except _Gone:
            return
        except ParlanteError:
            raise
        except Exception as err:
            raise EngineFailed("the speech engine failed while transcribing") from err

    def _start(
        self, audio: Waveform, options: TranscribeOptions, gone: threading.Event, frames: int | None
    ) -> tuple[Iterator[Any], Any]:
        self._model.running.gone, self._model.running.frames = gone, frames
        segments, info = self._model.transcribe(audio.samples, **self._settings(options))
        return segments, info

    def _frames_of_draft(self, audio: Waveform) -> int:
        frames: int = round((audio.duration + _DRAFT_MARGIN) * self._model.frames_per_second)
        return frames

    def _started_on_nothing(self, options: TranscribeOptions) -> TranscriptionStarted:
        certain = options.language is not None or len(self.capabilities.languages) == 1
        return TranscriptionStarted(
            language=options.language or self.capabilities.languages[0],
            language_probability=1.0 if certain else 0.0,
            duration=0.0,
        )

    def _settings(self, options: TranscribeOptions) -> dict[str, Any]:
        """The arguments of ``WhisperModel.transcribe``; what is not here is left at faster-whisper's default.

        Raises:
            InvalidRequest: more hotwords than the model's context holds.
        """
        settings: dict[str, Any] = {
            "language": options.language,
            "task": "translate" if options.task is Task.TRANSLATE else "transcribe",
            "word_timestamps": options.word_timestamps,
            "initial_prompt": options.prompt or None,
            "hotwords": options.hotwords or None,
            "vad_filter": self._defaults.vad if options.vad is None else options.vad,
            "beam_size": options.beam_size or self._defaults.beam_size,
            "condition_on_previous_text": self._defaults.condition_on_previous_text,
        }
        if options.draft:
            settings["max_new_tokens"] = _TOKENS_OF_A_DRAFT[bool(options.hotwords)]
        if options.temperature is not None:
            settings["temperature"] = options.temperature
        if options.hotwords:
            tokens = self._model.hf_tokenizer.encode(" " + options.hotwords.strip(), add_special_tokens=False).ids
            if len(tokens) > _HOTWORD_TOKENS:
                raise InvalidRequest(f"the hotwords are {len(tokens)} tokens long; at most {_HOTWORD_TOKENS} are heard")
        return settings


def _segment(found: Any, earliest: float, duration: float) -> Segment | None:
    """A segment of faster-whisper in the domain's terms, its times inside the audio; ``None`` where it says nothing."""
    text = found.text.strip()
    if not text:
        return None
    start = min(max(found.start, earliest), duration)
    words = None
    if found.words is not None:
        words = tuple(_word(word, duration) for word in found.words if word.word.strip())
    return Segment(start=float(start), end=float(max(start, min(found.end, duration))), text=text, words=words)


def _word(found: Any, duration: float) -> Word:
    start = min(float(found.start), duration)
    return Word(
        start=start,
        end=max(start, min(float(found.end), duration)),
        word=found.word.strip(),
        probability=min(max(float(found.probability), 0.0), 1.0),
    )
