"""The command ``parlante``: one module for each of its verbs."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from domain.errors import ParlanteError

_COMMANDS = {"serve": "serve", "config": "config", "keys": "keys", "models": "models", "demo": "demo", "live": "live"}


class _Lazy(click.Group):
    """Imports a verb's module when it is used, so that each starts with what it needs and no more."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"app.command_line.{_COMMANDS[cmd_name]}").command
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parlante")
def _parlante() -> None:
    """Parlante: speech to text and text to speech behind one API, on your own machines."""


def main() -> None:
    """Run the command line; an error of the domain ends it with its sentence and status 1."""
    # Before NumPy is imported: the small products of faster-whisper's features take 20 times longer on several threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        _parlante(prog_name="parlante")
    except ParlanteError as err:
        click.echo(f"parlante: {err.message}", err=True)
        sys.exit(1)
