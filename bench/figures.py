"""Figures under stable names, as a table for people and as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Column, Table


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number."""

    name: str
    """Stable name, for example ``stt.one_request.ratio``."""
    value: float
    unit: str
    """``s``, ``x`` (a ratio), ``1/s`` …"""
    meaning: str
    """What it says, in a few words."""
    bound: str = ""
    """What the project wants of it, for example ``<= 1.10``; empty where it only informs."""

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; ``None`` without one."""
        if not self.bound:
            return None
        sign, limit = self.bound.split()
        return self.value <= float(limit) if sign == "<=" else self.value >= float(limit)


def report(figures: Sequence[Figure], json_file: Path | None) -> bool:
    """Print the figures, write them to ``json_file``; answers whether all bounds hold."""
    table = Table(Column("figure", no_wrap=True), "value", "wanted", "meaning")
    for figure in figures:
        mark = {None: "", True: "[green]ok[/green]", False: "[red]missed[/red]"}[figure.holds]
        table.add_row(
            figure.name, f"{figure.value:.3g} {figure.unit}", f"{figure.bound} {mark}".strip(), figure.meaning
        )
    Console().print(table)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode({f.name: f.value for f in figures})))
    return all(figure.holds is not False for figure in figures)


def alternate(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of two ways to do the same, in turn (first second, second first, …) so that drift hits both alike."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        order = ((first, 0), (second, 1)) if number % 2 == 0 else ((second, 1), (first, 0))
        for run, side in order:
            times[side].append(run())
    return times


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the ratios pair by pair."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
