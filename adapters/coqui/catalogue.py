"""Where Coqui models lie, and how they get there: Coqui's ``ModelManager``, made safe for a service.

Imports ``TTS``, so only what opens the adapter imports this. ``ModelManager`` alone would ask for licences on the
terminal, take a download that broke off for a whole one, and look on the network for every Hugging Face model at every
start; here a model appears under ``MODELS_DIR/tts`` whole or not at all, and one that is there is used as it is.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
from TTS.utils.manage import ModelManager

from adapters.downloads import logged
from domain.errors import ModelMissing


class ModelFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A model on disk."""

    checkpoint: Path
    """The weights, ``model.pth`` or as the model calls it."""
    config: Path
    """Its ``config.json``."""
    vocoder: str | None = None
    """Name of the vocoder that its makers recommend."""


class Catalogue:
    """Finds models by name, and fetches those that are not here yet.

    A name has four parts (``tts_models/en/ljspeech/tacotron2-DDC``); anything else is a directory with ``model.pth``
    and ``config.json``, absolute or relative to ``models_dir``.
    """

    def __init__(self, models_dir: Path, models_file: Path | None = None, *, progress: bool = False) -> None:
        self._models_dir = models_dir
        self._models_file = models_file
        self._progress = progress
        self._manager = ModelManager(models_file, models_dir, progress)

    def find(self, name: str) -> ModelFiles:
        """The files of a model, fetched where they are not here yet.

        Raises:
            ModelMissing: it is not here and cannot be fetched; the message says what to do.
        """
        if not _is_name(name):
            directory = self._models_dir / name
            files = ModelFiles(checkpoint=directory / "model.pth", config=directory / "config.json")
            if not (files.checkpoint.is_file() and files.config.is_file()):
                raise ModelMissing(f"there is no model.pth and config.json in {directory}; put a Coqui model there")
            return files
        item = self._item(name)
        directory = self._manager.output_prefix / name.replace("/", "--")
        if not directory.is_dir():
            with nullcontext() if self._progress else logged(name, self._models_dir):
                self._fetch(name, item, directory)
        item.pop("repo_id", None)  # with it, ModelManager asks the hub again for what is here
        try:
            checkpoint, config, _ = self._manager.download_model(name)
        except Exception as err:
            raise ModelMissing(
                f"the Coqui model in {directory} cannot be read; delete it and run `parlante models pull {name}`"
            ) from err
        return ModelFiles(checkpoint=checkpoint, config=config, vocoder=item.get("default_vocoder"))

    def _item(self, name: str) -> dict[str, Any]:
        found: Any = self._manager.models_dict
        for part in name.split("/"):
            found = found.get(part, {})
        if not found:
            raise ModelMissing(f"Coqui has no model called {name}; `tts --list_models` lists those that it has")
        item: dict[str, Any] = found
        return item

    def _fetch(self, name: str, item: dict[str, Any], directory: Path) -> None:
        if not self._manager.tos_agreed(item, directory):
            raise ModelMissing(
                f"the Coqui model {name} has terms of service; set COQUI_TOS_AGREED=1 where you agree to them"
            )
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self._models_dir) as scratch:
                whole = self._download(name, item, Path(scratch))
                if not directory.is_dir():  # another process may have been faster
                    whole.rename(directory)
        except Exception as err:
            raise ModelMissing(
                f"the Coqui model {name} is not in {self._models_dir} and could not be fetched ({type(err).__name__}); "
                f"run `parlante models pull {name}` where there is a network"
            ) from err

    def _download(self, name: str, item: dict[str, Any], scratch: Path) -> Path:
        if "repo_id" in item:
            from huggingface_hub import snapshot_download  # noqa: PLC0415 - Coqui imports it as late
            from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars  # noqa: PLC0415

            (enable_progress_bars if self._progress else disable_progress_bars)()
            path = snapshot_download(
                item["repo_id"],
                local_dir=scratch / "model",
                allow_patterns=item.get("allow"),
                ignore_patterns=item.get("ignore"),
            )
            return Path(path)
        manager = ModelManager(self._models_file, scratch, self._progress)
        manager.download_model(name)
        return Path(manager.output_prefix, name.replace("/", "--"))


def _is_name(name: str) -> bool:
    return name.startswith(("tts_models/", "vocoder_models/")) and name.count("/") == 3
