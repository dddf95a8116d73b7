"""What holds for the adapter of faster-whisper beside the contract: the words that it hears, on ``whisper-mini``."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from faster_whisper import WhisperModel

from adapters.faster_whisper import PLUGIN, FasterWhisperOptions
from adapters.faster_whisper.transcriber import CancellableWhisper, FasterWhisper
from domain.audio import Waveform
from domain.errors import EngineFailed, InvalidRequest, UnsupportedLanguage
from domain.ports.plugin import Host
from domain.ports.transcriber import Feature, Transcriber
from domain.transcript import Task, TranscribeOptions
from tests.engines.recordings import RECORDINGS, SAMPLE_RATE, WHISPER_MINI, hear, spoken, text_of, word_error_rate

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = Host(models_dir=WHISPER_MINI.parent, device="cpu")
SENTENCES = [name for name in RECORDINGS if name[:2] in {"en", "es"} and not name.endswith("40s")]
SHORT = ["en-08", "es-02"]
LONG = ["en-40s", "es-40s"]  # more than one window


def opened(**options: Any) -> AbstractAsyncContextManager[Transcriber]:
    return PLUGIN.open(FasterWhisperOptions(model="whisper-mini", cpu_threads=2, **options), HOST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def transcriber() -> AsyncIterator[Transcriber]:
    async with opened() as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def bare() -> WhisperModel:
    return WhisperModel(str(WHISPER_MINI), device="cpu", compute_type="int8", cpu_threads=2)


class TestWords:
    @pytest.mark.parametrize(("language", "errors"), [("en", 0.06), ("es", 0.03)])
    async def test_hears_held_out_sentences(self, transcriber: Transcriber, language: str, errors: float) -> None:
        names = [name for name in SENTENCES if name.startswith(language)]
        results = [await hear(transcriber, RECORDINGS[name].waveform()) for name in names]
        heard = [text_of(segments) for _, segments in results]
        assert word_error_rate([RECORDINGS[name].text for name in names], heard) <= errors
        assert heard[0] == RECORDINGS[names[0]].text  # capitals and punctuation too
        assert [started.language for started, _ in results] == [language] * len(names)
        assert all(started.language_probability > 0.5 for started, _ in results)

    @pytest.mark.parametrize(
        ("names", "options", "settings"),
        [
            (SHORT + LONG, {}, {}),
            (SHORT + LONG, {"vad": True}, {"vad_filter": True}),
            (SHORT + LONG, {"word_timestamps": True}, {"word_timestamps": True}),
            (SHORT, {"task": Task.TRANSLATE, "language": "es"}, {"task": "translate", "language": "es"}),
            (SHORT, {"beam_size": 1, "temperature": 0.0}, {"beam_size": 1, "temperature": 0.0}),
            (SHORT, {"prompt": "Peter and Lucy."}, {"initial_prompt": "Peter and Lucy."}),
            (SHORT, {"hotwords": "garage office"}, {"hotwords": "garage office"}),
        ],
        ids=["defaults", "vad", "words", "translation", "greedy", "prompt", "hotwords"],
    )
    async def test_hears_what_the_bare_engine_hears(
        self,
        transcriber: Transcriber,
        bare: WhisperModel,
        names: list[str],
        options: dict[str, Any],
        settings: dict[str, Any],
    ) -> None:
        for name in names:
            audio = RECORDINGS[name].waveform()
            found, info = bare.transcribe(str(RECORDINGS[name].path), **settings)
            expected = [segment for segment in found if segment.text.strip()]
            started, segments = await hear(transcriber, audio, TranscribeOptions(**options))
            assert (started.language, started.language_probability) == (info.language, info.language_probability)
            assert [segment.text for segment in segments] == [segment.text.strip() for segment in expected]
            assert [segment.start for segment in segments] == [segment.start for segment in expected]
            assert [segment.end for segment in segments] == [min(s.end, audio.duration) for s in expected]
            for segment, same in zip(segments, expected, strict=True):
                if settings.get("word_timestamps"):
                    assert [word.word for word in segment.words or ()] == [word.word.strip() for word in same.words]
                    assert [word.start for word in segment.words or ()] == [word.start for word in same.words]
                    assert [word.probability for word in segment.words or ()] == [w.probability for w in same.words]

    async def test_translates_spanish_to_english(self, transcriber: Transcriber) -> None:
        names = [name for name in SENTENCES if name.startswith("es")]
        options = TranscribeOptions(language="es", task=Task.TRANSLATE)
        heard = [text_of((await hear(transcriber, RECORDINGS[name].waveform(), options))[1]) for name in names]
        assert word_error_rate([RECORDINGS[name].english or "" for name in names], heard) <= 0.1

    async def test_words_come_when_they_are_said(self, transcriber: Transcriber) -> None:
        first, second = (RECORDINGS[name].waveform().samples for name in ("en-08", "en-09"))
        pause = np.zeros(2 * SAMPLE_RATE, np.float32)
        audio = Waveform(samples=np.concatenate([first, pause, second]), sample_rate=SAMPLE_RATE)
        _, segments = await hear(transcriber, audio, TranscribeOptions(word_timestamps=True, language="en"))
        words = [word for segment in segments for word in segment.words or ()]
        said = [spoken(RECORDINGS[name].text).split() for name in ("en-08", "en-09")]
        assert [spoken(word.word) for word in words] == said[0] + said[1]
        begins = len(first) / SAMPLE_RATE + 2
        assert words[len(said[0]) - 1].end < begins - 1.5
        assert abs(words[len(said[0])].start - begins) < 0.5
        assert all(word.probability > 0.1 for word in words)

    @pytest.mark.parametrize("name", ["silence", "noise-white", "noise-pink", "noise-brown"])
    @pytest.mark.parametrize("vad", [False, True])
    async def test_noise_says_nothing(self, transcriber: Transcriber, name: str, vad: bool) -> None:
        _, segments = await hear(transcriber, RECORDINGS[name].waveform(), TranscribeOptions(vad=vad))
        assert segments == []

    async def test_a_given_language_is_certain(self, transcriber: Transcriber) -> None:
        started, _ = await hear(transcriber, RECORDINGS["es-00"].waveform(), TranscribeOptions(language="es"))
        assert (started.language, started.language_probability) == ("es", 1.0)

    async def test_hears_all_languages_of_its_vocabulary(self, transcriber: Transcriber) -> None:
        capabilities = transcriber.capabilities
        assert len(capabilities.languages) == 99
        assert {"en", "es", "de", "zh"} <= set(capabilities.languages)
        assert "yue" not in capabilities.languages  # large-v3 only
        assert capabilities.features == set(Feature)
        assert (capabilities.device, capabilities.model) == ("cpu", "whisper-mini")
        assert capabilities.compute_type.startswith("int8")

    async def test_refuses_hotwords_that_leave_no_room_for_what_is_heard(self, transcriber: Transcriber) -> None:
        options = TranscribeOptions(hotwords="garage " * 200)
        with pytest.raises(InvalidRequest, match="hotwords are 200 tokens long"):
            await hear(transcriber, RECORDINGS["en-00"].waveform(), options)

    async def test_takes_a_prompt_of_any_length(self, transcriber: Transcriber) -> None:
        options = TranscribeOptions(prompt="The office and the garage. " * 500, hotwords="garage " * 80)
        started, _ = await hear(transcriber, RECORDINGS["en-00"].waveform(), options)
        assert started.language == "en"

    async def test_logs_nothing_of_what_was_said(
        self, transcriber: Transcriber, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert logging.getLogger("faster_whisper").level == logging.WARNING
        with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="faster_whisper"):
            _, segments = await hear(transcriber, RECORDINGS["en-00"].waveform())
        assert not [record for record in caplog.records if spoken(text_of(segments)) in spoken(record.getMessage())]


class TestWork:
    async def test_its_own_settings_hold_where_a_request_does_not_say(self) -> None:
        seen: list[dict[str, Any]] = []
        async with opened(beam_size=2, vad=True, condition_on_previous_text=False) as transcriber:
            assert isinstance(transcriber, FasterWhisper)
            model, transcribe = transcriber._model, transcriber._model.transcribe
            model.transcribe = lambda audio, **settings: (seen.append(settings), transcribe(audio, **settings))[1]
            await hear(transcriber, RECORDINGS["en-00"].waveform())
            await hear(transcriber, RECORDINGS["en-00"].waveform(), TranscribeOptions(beam_size=3, vad=False))
        names = ("beam_size", "vad_filter", "condition_on_previous_text")
        assert [tuple(settings[name] for name in names) for settings in seen] == [(2, True, False), (3, False, False)]
        assert all("temperature" not in settings for settings in seen)  # faster-whisper's own ladder

    async def test_the_event_loop_goes_on_while_it_decodes(self, transcriber: Transcriber) -> None:
        listener = asyncio.create_task(hear(transcriber, RECORDINGS["en-40s"].waveform()))
        waits = []
        while not listener.done():
            begin = time.monotonic()
            await asyncio.sleep(0.005)
            waits.append(time.monotonic() - begin)
        assert len(waits) > 20
        assert max(waits) < 0.5

    async def test_leaving_an_hour_of_silence_stops_within_a_window(self, transcriber: Transcriber) -> None:
        audio = Waveform(samples=np.zeros(600 * SAMPLE_RATE, np.float32), sample_rate=SAMPLE_RATE)
        assert isinstance(transcriber, FasterWhisper)
        windows = 0
        encode = CancellableWhisper.encode

        def counted(self: CancellableWhisper, features: Any) -> Any:
            nonlocal windows
            encoded = encode(self, features)
            windows += 1
            return encoded

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CancellableWhisper, "encode", counted)
            listener = asyncio.create_task(hear(transcriber, audio, TranscribeOptions(language="en")))
            await _until(lambda: windows > 0)
            listener.cancel()
            await asyncio.wait([listener])
            at_cancelling = windows
            await hear(transcriber, RECORDINGS["en-00"].waveform())  # waits for the one thread that there is
            assert windows <= at_cancelling + 1 + 2  # that of the step that ran, and two of the sentence
        assert at_cancelling < 10

    @pytest.mark.parametrize("at", ["start", "iteration"])
    async def test_an_error_of_the_library_is_an_engine_failure_and_passes(
        self, transcriber: Transcriber, at: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(transcriber, FasterWhisper)

        def broken(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("CUDA out of memory, said of /secret/path")

        with monkeypatch.context() as patch:
            patch.setattr(
                transcriber._model, "transcribe" if at == "start" else "generate_with_fallback", broken, raising=False
            )
            with pytest.raises(EngineFailed) as raised:
                await hear(transcriber, RECORDINGS["en-00"].waveform())
        assert "secret" not in raised.value.message
        assert isinstance(raised.value.__cause__, RuntimeError)
        _, segments = await hear(transcriber, RECORDINGS["en-00"].waveform())
        assert text_of(segments) == RECORDINGS["en-00"].text

    async def test_leaves_no_thread_behind(self) -> None:
        async with opened(parallel=2) as transcriber:
            await hear(transcriber, RECORDINGS["en-00"].waveform())
        await _until(lambda: len(_bridge_threads()) <= 1)  # that of the shared fixture stays


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in threads of the engine
            await asyncio.sleep(0.01)


def _bridge_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("faster-whisper")]


class TestEnglishOnly:
    """A model whose vocabulary has no languages; made of ``whisper-mini`` by saying so."""

    @pytest.fixture
    def english(self, transcriber: Transcriber) -> FasterWhisper:
        assert isinstance(transcriber, FasterWhisper)

        class EnglishOnly:
            """The loaded model, but English-only."""

            is_multilingual = False
            device = "cpu"
            compute_type = "int8"

        model = CancellableWhisper.__new__(CancellableWhisper)
        model.__dict__.update(transcriber._model.__dict__ | {"model": EnglishOnly()})
        return FasterWhisper(model, "tiny.en", transcriber._defaults, transcriber._bridge, 1)

    async def test_offers_english_and_neither_detection_nor_translation(self, english: FasterWhisper) -> None:
        assert english.capabilities.languages == ("en",)
        assert english.capabilities.features == set(Feature) - {Feature.LANGUAGE_DETECTION, Feature.TRANSLATION}

    async def test_refuses_another_language(self, english: FasterWhisper) -> None:
        with pytest.raises(UnsupportedLanguage):
            await hear(english, RECORDINGS["es-00"].waveform(), TranscribeOptions(language="es"))
