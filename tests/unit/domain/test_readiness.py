from __future__ import annotations

import asyncio

import pytest

from domain.errors import EngineUnavailable, StorageUnavailable
from domain.use_cases.readiness import Part, Readiness

OK = Part(ready=True, detail="ok")


class Silent:
    """A part that cannot say how it is."""


class Checked:
    """A part that can."""

    def __init__(self, error: Exception | None = None, *, delay: float = 0.0) -> None:
        self._error = error
        self._delay = delay

    async def check(self) -> None:
        await asyncio.sleep(self._delay)
        if self._error is not None:
            raise self._error


async def test_parts_that_answer_are_ready() -> None:
    assert await Readiness({"engine": Checked(), "store": Checked()}, patience=1.0)() == {"engine": OK, "store": OK}


async def test_a_part_that_cannot_be_asked_counts_as_ready() -> None:
    assert await Readiness({"engine": Silent()}, patience=1.0)() == {"engine": OK}


@pytest.mark.parametrize("error", [StorageUnavailable("the store does not answer"), EngineUnavailable("restarting")])
async def test_a_part_that_is_unavailable_says_why_and_the_others_stay_ready(error: StorageUnavailable) -> None:
    states = await Readiness({"broken": Checked(error), "whole": Checked()}, patience=1.0)()
    assert states == {"broken": Part(ready=False, detail=error.message), "whole": OK}


async def test_a_part_that_does_not_answer_in_time_is_not_ready() -> None:
    states = await Readiness({"slow": Checked(delay=30.0)}, patience=0.01)()
    assert states == {"slow": Part(ready=False, detail="no answer within 0.01 s")}


async def test_all_parts_are_asked_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    class Meeting:
        async def check(self) -> None:
            await together.wait()

    states = await Readiness({name: Meeting() for name in "abc"}, patience=1.0)()
    assert set(states.values()) == {OK}


class Buggy:
    """A part whose check breaks."""

    async def check(self) -> None:
        raise ZeroDivisionError


async def test_a_part_whose_check_breaks_is_not_ready_and_hides_no_other() -> None:
    state = await Readiness({"buggy": Buggy(), "plain": object()}, patience=1.0)()
    assert (state["buggy"].ready, state["buggy"].detail) == (False, "its check failed with ZeroDivisionError")
    assert state["plain"].ready
