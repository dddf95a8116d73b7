"""Finds, fetches and loads what the configured voices are made of.

Imports ``TTS`` and ``torch``, so only what opens the adapter imports this.
"""

from __future__ import annotations

import queue
from pathlib import Path

from adapters.bridge import Bridge
from adapters.coqui.catalogue import Catalogue
from adapters.coqui.engine import Engine, choose_device, set_threads, silence
from adapters.coqui.options import CoquiOptions, CoquiVoice
from adapters.coqui.speech import Coqui, Pool
from domain.errors import ConfigurationInvalid, ParlanteError, StartError
from domain.ports.plugin import Host
from domain.speech import Voice


def load(options: CoquiOptions, host: Host, bridge: Bridge) -> Coqui:
    """Load the model of every voice, fetching those that are not here yet, and let each voice speak once.

    Blocks, for seconds to minutes.

    Raises:
        StartError: one sentence that says what to do.
    """
    if not options.voices:
        raise ConfigurationInvalid("coqui needs at least one voice")
    silence()
    set_threads(options.threads)
    device = choose_device(options.device or host.device)
    catalogue = _catalogue(options, host, progress=False)
    loaded: dict[tuple[str, str | None], tuple[list[Engine], Pool]] = {}  # shared by voices that differ in speaker only
    voices: dict[str, Voice] = {}
    pools: dict[str, Pool] = {}
    for name, voice in options.voices.items():
        model = catalogue.find(voice.model)
        vocoder_name = voice.vocoder or model.vocoder
        vocoder = catalogue.find(vocoder_name) if vocoder_name else None
        key = (voice.model, vocoder_name)
        try:
            if key not in loaded:
                copies = [Engine(model, vocoder, device) for _ in range(options.parallel)]
                loaded[key] = copies, queue.SimpleQueue()
                for engine in copies:
                    loaded[key][1].put(engine)
            engines, pools[name] = loaded[key]
            _check_speaker(name, voice, engines[0])
            for engine in engines:
                engine.warm_up(voice.language, voice.speaker)
        except StartError:
            raise
        except Exception as err:
            cause = err.__cause__ if isinstance(err, ParlanteError) else err
            raise StartError(f"the model of the voice {name!r} does not load or speak: {cause}") from err
        voices[name] = Voice(
            id=name,
            language=voice.language,
            # A directory's path is the operator's business; callers see its name.
            model=voice.model if voice.model.startswith("tts_models/") else Path(voice.model).name,
            sample_rate=engines[0].sample_rate,
            description=voice.description,
        )
    return Coqui(options, voices, pools, bridge, device)


def pull(name: str, options: CoquiOptions, host: Host) -> None:
    """Fetch a model, by Coqui's name or by the id of a configured voice, and its vocoder; shows a progress bar.

    Raises:
        ModelMissing: it cannot be fetched.
    """
    silence()
    catalogue = _catalogue(options, host, progress=True)
    voices = [voice for key, voice in options.voices.items() if name in {key, voice.model}]
    model = catalogue.find(voices[0].model if voices else name)
    for vocoder in {voice.vocoder or model.vocoder for voice in voices} or {model.vocoder}:
        if vocoder:
            catalogue.find(vocoder)


def _catalogue(options: CoquiOptions, host: Host, *, progress: bool) -> Catalogue:
    models_file = host.models_dir / options.models_file if options.models_file else None
    return Catalogue(host.models_dir, models_file, progress=progress)


def _check_speaker(name: str, voice: CoquiVoice, engine: Engine) -> None:
    if engine.speakers and voice.speaker not in engine.speakers:
        some = ", ".join(sorted(engine.speakers)[:10])
        raise ConfigurationInvalid(f"the voice {name!r} needs a speaker that its model has, such as: {some}")
