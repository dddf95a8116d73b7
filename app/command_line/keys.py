"""``parlante keys new``."""

from __future__ import annotations

import re

import click

from app.keys import hash_key, new_key


@click.group("keys")
def command() -> None:
    """Make API keys."""


@command.command("new")
@click.argument("name")
def new(name: str) -> None:
    """Make a key called NAME: print it once, and the line for the configuration that admits it."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        raise click.BadParameter("use 1 to 40 letters, digits, - or _", param_hint="NAME")
    key = new_key()
    variable = "PARLANTE_KEYS__" + name.upper().replace("-", "_")
    click.echo(f"key (give it to its user; it cannot be shown again): {key}")
    click.echo(f'config, under [keys]: {name} = "{hash_key(key)}"')
    click.echo(f"or as a variable:     {variable}={hash_key(key)}")
