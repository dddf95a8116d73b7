"""Which Coqui models the tests speak with, and what happens where Coqui is not installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

import pytest

TRAINED = Path(__file__).parents[1] / "data" / "models" / "coqui-mini"
"""Two voices, ``en`` and ``es``, trained: what goes in comes out."""


def require_coqui() -> None:
    """Skip the test where coqui-tts is not installed; fail it where PARLANTE_REQUIRE_COQUI=1 says that it must be."""
    if importlib.util.find_spec("TTS") is not None:
        return
    reason = "coqui-tts is not installed; run `pip install 'parlante[coqui]'`"
    if os.environ.get("PARLANTE_REQUIRE_COQUI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def build_untrained(root: Path) -> Path:
    """Write ``tacotron2-en``, ``tacotron2-es``, ``hifigan`` and ``melgan`` under ``root``, once; returns ``root``."""
    if not (root / "whole").exists():
        importlib.import_module("adapters.coqui.engine")  # imports TTS without its warnings
        importlib.import_module("tests.engines.coqui_untrained").build(root)
        (root / "whole").touch()
    return root
