"""Text to speech by espeak-ng, whose library and voices come in the wheel of espeakng-loader: no download, any machine.

The C interface is that of espeak-ng 1.52, ``src/include/espeak-ng/speak_lib.h``. The library keeps its voice, its
parameters and its place in the text in global variables, so a process opens it once and speaks one text at a time.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import espeakng_loader
import msgspec
import numpy as np

from adapters.bridge import Bridge, Emit
from domain.audio import Waveform
from domain.errors import ConfigurationInvalid, DependencyMissing, EngineFailed, TextInvalid, UnknownVoice
from domain.ports.plugin import Host, Plugin
from domain.ports.synthesizer import Synthesizer, SynthesizerCapabilities
from domain.speech import SpeakOptions, Voice
from domain.text import plain, require_speakable

_VOICES: Final = {
    "en-us": "en",
    "en-gb-x-rp": "en",
    "en-us+f3": "en",
    "en-us+m3": "en",
    "es": "es",
    "es-419": "es",
    "es+f2": "es",
    "es+m3": "es",
}

_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS: no sound card; espeak_Synth returns when all has been called back
_BUFFER_MS: Final = 200
_DONT_EXIT: Final = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is returned rather than ending the process
_POS_CHARACTER: Final = 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_WORDS_PER_MINUTE: Final = 175  # espeak's own rate
# UTF-8, and neither espeakSSML nor espeakPHONEMES: "<speak>" and "[[" are text like any other.
_FLAGS: Final = 1
# About 100 s of sound (9 MB) lie ready, so that a slow listener does not hold up the next text.
_AHEAD: Final = 512

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakNgOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the synthesizer ``espeak-ng``."""

    voices: dict[str, str] = msgspec.field(default_factory=_VOICES.copy)
    """Names of espeak-ng voices (``es``, ``en-us+f3``) with the ISO 639-1 code of their language, defaults first."""


class _Library:
    """The C library; one in a process."""

    def __init__(self) -> None:
        try:
            self._c = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as err:
            raise DependencyMissing(
                "espeak-ng's library does not load here; run `pip install --force-reinstall espeakng-loader`"
            ) from err
        data: str = espeakng_loader.get_data_path()
        self._variants = Path(data, "voices", "!v")
        self.sample_rate: int = self._c.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), _DONT_EXIT)
        if self.sample_rate <= 0:
            raise DependencyMissing(
                "espeak-ng finds no voices; run `pip install --force-reinstall espeakng-loader` under a shorter path"
            )
        self._lock = threading.Lock()

    def has(self, voice: str) -> bool:
        """Whether there is a voice of that name; espeak-ng passes over a variant that it lacks, so it is looked up."""
        name, plus, variant = voice.partition("+")
        if plus and not (self._variants / variant).is_file():
            return False
        with self._lock:
            return bool(self._c.espeak_SetVoiceByName(name.encode()) == 0)

    def speak(self, text: str, voice: str, parameters: dict[int, int], emit: Emit[Waveform]) -> None:
        """Speak a text into ``emit``, until it says that nobody listens; blocks."""
        spoken = False

        def take(samples: Any, count: int, _: object) -> int:
            nonlocal spoken
            if not samples or count <= 0:
                return 0
            pcm = np.ctypeslib.as_array(samples, shape=(count,)).astype(np.float32) / np.float32(32768)  # a copy
            spoken = True
            return 0 if emit(Waveform(samples=pcm, sample_rate=self.sample_rate)) else 1

        utf8 = plain(text).encode()
        callback = _Callback(take)
        with self._lock:
            failed = self._c.espeak_SetVoiceByName(voice.encode()) or any(
                self._c.espeak_SetParameter(parameter, value, 0) for parameter, value in parameters.items()
            )
            if not failed:
                self._c.espeak_SetSynthCallback(callback)
                size = ctypes.c_size_t(len(utf8) + 1)
                failed = self._c.espeak_Synth(utf8, size, 0, _POS_CHARACTER, 0, _FLAGS, None, None)
        if failed:
            raise EngineFailed(f"espeak-ng failed with code {failed}")
        if not spoken:
            raise TextInvalid("the text has nothing that the voice can say")


_OPENING: Final = threading.Lock()


@cache
def _load() -> _Library:
    return _Library()


class EspeakNg:
    """Speaks through espeak-ng; see ``domain.ports.synthesizer.Synthesizer``."""

    def __init__(self, voices: tuple[Voice, ...], library: _Library, bridge: Bridge) -> None:
        self._voices = voices
        self._library = library
        self._bridge = bridge
        languages = tuple(dict.fromkeys(voice.language for voice in voices))
        self._capabilities = SynthesizerCapabilities(
            engine="espeak-ng", device="cpu", languages=languages, pitch=True, parallel=1
        )

    @property
    def capabilities(self) -> SynthesizerCapabilities:
        """What it is and can do."""
        return self._capabilities

    def voices(self) -> tuple[Voice, ...]:
        """The configured voices, in the order of the configuration."""
        return self._voices

    async def synthesize(self, text: str, options: SpeakOptions) -> AsyncGenerator[Waveform, None]:
        """Speak ``text`` in pieces of 0.2 s."""
        if options.voice not in self._voices:
            raise UnknownVoice(f"espeak-ng has no voice {options.voice.id!r}")
        require_speakable(text)
        parameters = _parameters(options.speed, options.pitch)

        def work(emit: Emit[Waveform]) -> None:
            self._library.speak(text, options.voice.id, parameters, emit)

        async with aclosing(self._bridge.produce(work, ahead=_AHEAD)) as pieces:
            async for piece in pieces:
                yield piece


def _parameters(speed: float, pitch: float) -> dict[int, int]:
    """Parameters of espeak for a manner of speaking, the nearest where its scales end."""
    pitch = min(max(pitch, 0.5), 2.0)
    return {
        _RATE: round(min(max(_WORDS_PER_MINUTE * speed, 80), 450)),
        # 0 to 99, where 50 is the voice's own. The height is logarithmic; with its range, which is linear, 60 steps an
        # octave multiply the fundamental as asked, measured from 0.8 to 1.8; 0.5 comes out as 0.63.
        _PITCH: round(min(max(50 + 60 * math.log2(pitch), 0), 99)),
        _RANGE: round(min(50 * pitch, 99)),
    }


def _open_library(options: EspeakNgOptions) -> tuple[_Library, tuple[Voice, ...]]:
    with _OPENING:
        library = _load()
    unknown = [voice for voice in options.voices if not library.has(voice)]
    if unknown or not options.voices:
        raise ConfigurationInvalid(
            f"espeak-ng has no voice {unknown[0]!r}" if unknown else "espeak-ng needs at least one voice"
        )
    return library, tuple(
        Voice(id=name, language=language, model="espeak-ng", sample_rate=library.sample_rate)
        for name, language in options.voices.items()
    )


@asynccontextmanager
async def _open(options: EspeakNgOptions, _: Host) -> AsyncIterator[Synthesizer]:
    bridge = Bridge("espeak-ng", threads=1)
    try:
        library, voices = await bridge.call(_open_library, options)
        yield EspeakNg(voices, library, bridge)
    finally:
        bridge.close()


PLUGIN: Final = Plugin[Synthesizer](options=EspeakNgOptions, open=_open)
