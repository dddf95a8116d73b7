"""Where a Whisper model lies: a directory, the hub's cache under the models directory, or the hub itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import huggingface_hub

# The names of sizes are public, their repositories are not; faster-whisper keeps both in this one table.
from faster_whisper.utils import _MODELS as REPOSITORIES
from faster_whisper.utils import disabled_tqdm

from adapters.downloads import logged
from domain.errors import ModelMissing

_NEEDED: Final = ("config.json", "model.bin", "tokenizer.json")
# Those that faster_whisper.download_model fetches.
_PATTERNS: Final = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]


def find_or_fetch(name: str, models_dir: Path, *, local_files_only: bool) -> Path:
    """The directory of a model, downloaded once where it is not here yet; no network where it is.

    Raises:
        ModelMissing: it is neither here nor can it be fetched.
    """
    found = find(name, models_dir)
    if found is not None:
        return found
    if local_files_only:
        raise ModelMissing(
            f"the model {name!r} is not in {models_dir} and local_files_only is set; run `parlante models pull {name}`"
        )
    with logged(name, models_dir):
        return fetch(name, models_dir, progress=False)


def find(name: str, models_dir: Path) -> Path | None:
    """The directory of a model that is here and whole, without any network; ``None`` where it is not.

    Raises:
        ModelMissing: ``name`` is a directory that holds no model, or nothing that could be fetched.
    """
    directory = models_dir / name  # an absolute name stands for itself
    if directory.is_dir():
        missing = _missing(directory)
        if missing:
            raise ModelMissing(f"the directory {directory} holds no whole model: it has no {', '.join(missing)}")
        return directory.resolve()
    try:
        cached = huggingface_hub.snapshot_download(
            _repository(name), cache_dir=models_dir, local_files_only=True, allow_patterns=_PATTERNS
        )
    except (OSError, ValueError):
        return None
    # Some versions of the hub's library answer with the snapshot of a download that was broken off.
    return None if _missing(Path(cached)) else Path(cached)


def fetch(name: str, models_dir: Path, *, progress: bool) -> Path:
    """Download a model into the hub's cache under ``models_dir``, from ``HF_ENDPOINT`` where that is set.

    What is here already is not fetched again; a download that was broken off is taken up where it stopped.

    Args:
        name: A size or the id of a repository.
        models_dir: Where models are kept.
        progress: Show progress bars on the terminal.

    Raises:
        ModelMissing: it cannot be fetched.
    """
    repository = _repository(name)
    try:
        directory = Path(
            huggingface_hub.snapshot_download(
                repository,
                cache_dir=models_dir,
                allow_patterns=_PATTERNS,
                tqdm_class=None if progress else disabled_tqdm,
            )
        )
    except Exception as err:  # the hub's library lets those of its HTTP client through, which changes between versions
        raise ModelMissing(
            f"the model {name!r} is not in {models_dir} and cannot be fetched from "
            f"{huggingface_hub.constants.ENDPOINT} ({type(err).__name__}); run `parlante models pull {name}` "
            "where that can be reached"
        ) from err
    missing = _missing(directory)
    if missing:
        raise ModelMissing(f"the repository {repository} holds no CTranslate2 model: it has no {', '.join(missing)}")
    return directory


def _repository(name: str) -> str:
    if name in REPOSITORIES:
        return str(REPOSITORIES[name])
    if Path(name).is_absolute() or name.count("/") != 1:
        raise ModelMissing(
            f"there is no model {name!r}: neither a directory, nor the id of a repository, nor one of "
            f"{', '.join(REPOSITORIES)}"
        )
    return name


def _missing(directory: Path) -> list[str]:
    # Without tokenizer.json faster-whisper would ask the hub for it at every start.
    return [name for name in _NEEDED if not (directory / name).is_file()]
