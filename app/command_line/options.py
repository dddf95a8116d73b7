"""Options that several verbs share."""

from __future__ import annotations

import click

from app.settings import ENVIRONMENTS

environment = click.option(
    "--env",
    "environment",
    type=click.Choice(ENVIRONMENTS),
    envvar="PARLANTE_ENV",
    default="prod",
    show_default=True,
    show_envvar=True,
    help="Which of config/*.toml to lay over config/default.toml.",
)
