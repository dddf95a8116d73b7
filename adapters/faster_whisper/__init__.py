"""Speech to text by faster-whisper: Whisper models run by CTranslate2, on a GPU or on the processor."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import ctranslate2  # type: ignore[import-untyped]
import msgspec

from adapters.bridge import Bridge
from adapters.faster_whisper.models import fetch, find_or_fetch
from adapters.faster_whisper.transcriber import Defaults, FasterWhisper, load
from domain.errors import ConfigurationInvalid
from domain.ports.plugin import Host, Plugin
from domain.ports.transcriber import Transcriber


class FasterWhisperOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the transcriber ``faster-whisper``."""

    model: str = "base"
    """A size (``tiny`` to ``large-v3``, ``turbo``, ``distil-large-v3``, ``base.en``, …), the id of a repository on the
    hub, or a directory, absolute or inside ``models_dir``."""
    device: str | None = None
    """``auto``, ``cpu`` or ``cuda``; unset takes the service's own setting."""
    device_index: int = 0
    """Which GPU, where there are several."""
    compute_type: str = "auto"
    """CTranslate2's name of the arithmetic, for example ``int8``; ``auto`` is ``float16`` on a GPU, else ``int8``."""
    cpu_threads: int = 0
    """Threads of one transcription on the processor; 0 leaves it to CTranslate2."""
    parallel: int = 1
    """Transcriptions that run at once; each takes the memory of its own work, the model is shared."""
    beam_size: int = 5
    """Beams of the search where a request names none, at least 1."""
    vad: bool = False
    """Leave out parts without speech where a request does not say."""
    condition_on_previous_text: bool = True
    """Give each 30 s window the text before it: more consistent, but an error can repeat itself."""
    short_drafts: bool | None = None
    """Hear the drafts of live streams in a window as long as their sound instead of Whisper's 30 s: a third of the
    work, a little less accurate; a draft that repeats itself is heard again in 30 s. Unset: on a processor only."""
    local_files_only: bool = False
    """Never download a model at the start."""

    def __post_init__(self) -> None:
        """Refuse numbers that no engine takes."""
        for name, least in (("parallel", 1), ("beam_size", 1), ("cpu_threads", 0), ("device_index", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")


def _placement(options: FasterWhisperOptions, host: Host) -> tuple[str, str]:
    """Where to run and in which arithmetic, as CTranslate2 names them.

    Raises:
        ConfigurationInvalid: a device or an arithmetic that is unknown or not to be had here.
    """
    device = options.device or host.device
    if device not in {"auto", "cpu", "cuda"}:
        raise ConfigurationInvalid(f"device {device!r} is unknown to faster-whisper; expected auto, cpu or cuda")
    gpus = ctranslate2.get_cuda_device_count()
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cuda" and options.device_index >= gpus:
        raise ConfigurationInvalid(
            f"device 'cuda' with index {options.device_index} was asked for, but faster-whisper sees {gpus} CUDA GPUs; "
            "set the device to 'auto' or 'cpu', or install the NVIDIA driver"
        )
    supported = ctranslate2.get_supported_compute_types(device, options.device_index)
    if options.compute_type != "auto":
        if options.compute_type not in {"default", *supported}:
            raise ConfigurationInvalid(
                f"compute type {options.compute_type!r} is not to be had on this {device}; "
                f"expected auto, default, {', '.join(sorted(supported))}"
            )
        return device, options.compute_type
    wanted = "float16" if device == "cuda" else "int8"
    return device, wanted if wanted in supported else "default"


@asynccontextmanager
async def _open(options: FasterWhisperOptions, host: Host) -> AsyncGenerator[Transcriber, None]:
    # It logs every request at INFO under a message of its own making; the service has its own record of requests.
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    device, compute_type = _placement(options, host)
    bridge = Bridge("faster-whisper", threads=options.parallel)
    try:
        directory = await bridge.call(
            lambda: find_or_fetch(options.model, host.models_dir, local_files_only=options.local_files_only)
        )
        model = await bridge.call(
            lambda: load(
                directory,
                device=device,
                device_index=options.device_index,
                compute_type=compute_type,
                cpu_threads=options.cpu_threads,
                num_workers=options.parallel,
            )
        )
        defaults = Defaults(
            beam_size=options.beam_size,
            vad=options.vad,
            condition_on_previous_text=options.condition_on_previous_text,
            short_drafts=device == "cpu" if options.short_drafts is None else options.short_drafts,
        )
        # Answers name the model: of a directory only its last part, not where it lies.
        name = Path(options.model).name if Path(options.model).is_absolute() else options.model
        yield FasterWhisper(model, name, defaults, bridge, options.parallel)
    finally:
        bridge.close()


def _pull(name: str, options: FasterWhisperOptions, host: Host) -> None:
    fetch(name, host.models_dir, progress=True)


PLUGIN: Final = Plugin(options=FasterWhisperOptions, open=_open, pull=_pull)
"""The plugin ``faster-whisper``."""
