"""``parlante config check``."""

from __future__ import annotations

import click

from app.command_line import options
from app.settings import load_settings
from app.settings.display import effective_settings


@click.group("config")
def command() -> None:
    """Look at the configuration."""


@command.command("check")
@options.environment
def check(environment: str) -> None:
    """Check the configuration and print the effective settings, secrets masked."""
    for name, value in effective_settings(load_settings(environment)):
        click.echo(f"{name} = {value}")
