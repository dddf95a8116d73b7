"""``parlante serve``."""

from __future__ import annotations

from functools import partial

import click

from app.command_line import options
from app.settings import load_settings


@click.command("serve")
@options.environment
def command(environment: str) -> None:
    """Run the service until Ctrl-C; SIGHUP loads the configuration again without dropping a request."""
    load_settings(environment)
    from app.server import serve  # noqa: PLC0415 - settings are checked before the framework is imported

    serve(partial(load_settings, environment))
