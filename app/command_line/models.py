"""``parlante models pull``."""

from __future__ import annotations

import click

from app.backends import chosen_backend
from app.command_line import options
from app.settings import load_settings
from domain.errors import InvalidRequest


@click.group("models")
def command() -> None:
    """Fetch models."""


@command.command("pull")
@click.argument("name")
@options.environment
def pull(name: str, environment: str) -> None:
    """Download the model NAME into the models directory.

    NAME is a Whisper size (base, large-v3, turbo, …) or a hub repository, or a Coqui model
    (tts_models/en/ljspeech/tacotron2-DDC).
    """
    settings = load_settings(environment, require_access=False)
    group = "synthesizers" if name.startswith(("tts_models/", "vocoder_models/")) else "transcribers"
    backend = chosen_backend(settings, group)
    if backend.plugin.pull is None:
        raise InvalidRequest(f"the engine {backend.name} has nothing to download; choose another environment: --env")
    backend.plugin.pull(name, backend.options, backend.host)
    click.echo(f"{name} is in {settings.models_dir}")
