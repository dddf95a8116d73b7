"""Text to speech by Coqui's models (coqui-tts, imported as ``TTS``): Tacotron 2, VITS, … with neural vocoders.

``TTS`` and ``torch`` are the optional extra ``coqui``; they are imported when the adapter is opened, not before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from adapters.bridge import Bridge
from adapters.coqui.options import CoquiOptions, CoquiVoice
from adapters.coqui.speech import Coqui
from domain.errors import DependencyMissing
from domain.ports.plugin import Host, Plugin
from domain.ports.synthesizer import Synthesizer

__all__ = ["PLUGIN", "CoquiOptions", "CoquiVoice"]


def _load(options: CoquiOptions, host: Host, bridge: Bridge) -> Coqui:
    try:
        from adapters.coqui import loading  # noqa: PLC0415 - imports torch
    except ImportError as err:
        raise _not_installed(err) from err
    return loading.load(options, host, bridge)


def _pull(name: str, options: CoquiOptions, host: Host) -> None:
    try:
        from adapters.coqui import loading  # noqa: PLC0415 - imports torch
    except ImportError as err:
        raise _not_installed(err) from err
    loading.pull(name, options, host)


def _not_installed(err: ImportError) -> DependencyMissing:
    reason = next(iter(str(err).strip().splitlines()), "")
    return DependencyMissing(f"the synthesizer coqui is not installed ({reason}); run `pip install 'parlante[coqui]'`")


@asynccontextmanager
async def _open(options: CoquiOptions, host: Host) -> AsyncIterator[Synthesizer]:
    bridge = Bridge("coqui", threads=options.parallel)
    try:
        yield await bridge.call(_load, options, host, bridge)
    finally:
        bridge.close()


PLUGIN: Final = Plugin[Synthesizer](options=CoquiOptions, open=_open, pull=_pull)
