"""What the tests of the engines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.coqui_models import build_untrained, require_coqui


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of Tacotron 2 models and vocoders with random weights."""
    require_coqui()
    return build_untrained(tmp_path_factory.getbasetemp() / "coqui-untrained")
