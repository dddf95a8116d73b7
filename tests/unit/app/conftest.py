from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.settings import Settings, load_settings
from tests.app.installed import install_backends

CONFIG = Path(__file__).resolve().parents[3] / "config"


class Configuration:
    """A copy of ``config/`` that a test may change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file's text."""
        file = self.directory / f"{name}.toml"
        assert old in file.read_text("utf-8")
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")

    def add(self, name: str, table: str, *lines: str) -> None:
        """Put lines under a table's head, which is added if it is not there; "" is the top of the file."""
        file = self.directory / f"{name}.toml"
        text, head, added = file.read_text("utf-8"), f"[{table}]\n", "".join(f"{line}\n" for line in lines)
        if not table:
            file.write_text(added + text, "utf-8")
        elif head in text:
            file.write_text(text.replace(head, head + added), "utf-8")
        else:
            file.write_text(f"{text}\n{head}{added}", "utf-8")

    def load(self, environment: str = "demo", *, require_access: bool = True, **variables: str) -> Settings:
        """The settings of an environment under these variables and no others."""
        variables = {"PARLANTE_CONFIG_DIR": str(self.directory)} | variables
        return load_settings(environment, variables, require_access=require_access)


@pytest.fixture(autouse=True)
def _only_the_real_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    install_backends(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Configuration:
    shutil.copytree(CONFIG, tmp_path / "config")
    return Configuration(tmp_path / "config")
