"""``python -m bench``: runs the benchmarks; ``just bench`` calls it."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import click

from bench import live, speech_to_text, start, text_to_speech
from bench.figures import Figure, report

_PARTS = {"stt": speech_to_text.measure, "tts": text_to_speech.measure, "start": start.measure, "live": live.measure}


_USUAL = ("stt", "tts", "start")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(list(_PARTS)))
@click.option("--quick", is_flag=True, help="Fewer rounds: under a minute.")
@click.option("--full", is_flag=True, help="Live: half an hour in one stream, all of it in real time.")
@click.option("--strict", is_flag=True, help="End with status 1 where a wanted bound is missed.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there.")
def main(parts: tuple[str, ...], quick: bool, full: bool, strict: bool, json_file: Path | None) -> None:
    """Measure the service against its bare engines, in one run. Without PARTS: stt, tts and start."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="parlante-bench-") as folder:
        for name in parts or _USUAL:
            click.echo(f"measuring {name} …", err=True)
            measure = partial(live.measure, full=full) if name == "live" else _PARTS[name]
            figures.extend(measure(Path(folder), quick=quick))
    held = report(figures, json_file)
    sys.exit(1 if strict and not held else 0)


main()
