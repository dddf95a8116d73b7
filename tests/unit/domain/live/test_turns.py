"""Turns at the engine."""

from __future__ import annotations

import asyncio

import pytest

from domain.live.turns import Turns, Urgency
from tests.unit.domain.waiting import let_others_run


class Stage:
    """Takes turns and writes down who has one."""

    def __init__(self, parallel: int = 1) -> None:
        self.turns = Turns(parallel)
        self.log: list[str] = []
        self.holding: set[str] = set()
        self.ends: dict[str, asyncio.Event] = {}

    def enter(self, name: str, urgency: Urgency, unless: asyncio.Event | None = None) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()

        async def hold() -> None:
            async with self.turns.turn(urgency, unless) as mine:
                self.log.append(name if mine else f"not {name}")
                if mine:
                    self.holding.add(name)
                    try:
                        await self.ends[name].wait()
                    finally:
                        self.holding.discard(name)

        return asyncio.create_task(hold())


async def test_so_many_have_a_turn_at_once() -> None:
    stage = Stage(2)
    tasks = [stage.enter(name, Urgency.PARTIAL) for name in "abc"]
    await let_others_run()
    assert stage.holding == {"a", "b"}
    stage.ends["a"].set()
    await let_others_run()
    assert stage.holding == {"b", "c"}
    for end in stage.ends.values():
        end.set()
    await asyncio.gather(*tasks)


async def test_finals_go_before_partials_that_came_earlier_and_each_in_order() -> None:
    stage = Stage()
    tasks = [stage.enter("first", Urgency.PARTIAL)]
    await let_others_run()
    for name, urgency in (("p1", 1), ("f1", 0), ("p2", 1), ("f2", 0)):
        tasks.append(stage.enter(name, Urgency(urgency)))
        await let_others_run()
    for end in stage.ends.values():
        end.set()
    await asyncio.gather(*tasks)
    assert stage.log == ["first", "f1", "f2", "p1", "p2"]


async def test_whoever_is_cancelled_while_waiting_is_passed_over() -> None:
    stage = Stage()
    first, second, third = (stage.enter(name, Urgency.FINAL) for name in "abc")
    await let_others_run()
    second.cancel()
    stage.ends["a"].set()
    await let_others_run()
    assert stage.holding == {"c"}
    stage.ends["c"].set()
    await asyncio.gather(first, third)


async def test_whoever_is_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    stage = Stage()
    tasks = [stage.enter(name, Urgency.FINAL) for name in "abc"]
    await let_others_run()
    stage.ends["a"].set()
    await asyncio.sleep(0)  # a has handed its turn to b, which has not run yet
    tasks[1].cancel()
    await let_others_run()
    assert "c" in stage.holding
    for end in stage.ends.values():
        end.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(Urgency.FINAL):
            raise ZeroDivisionError
    async with turns.turn(Urgency.FINAL) as mine:
        assert mine


async def test_a_wait_can_be_given_up() -> None:
    stage, unless = Stage(), asyncio.Event()
    first = stage.enter("a", Urgency.FINAL)
    await let_others_run()
    second = stage.enter("b", Urgency.PARTIAL, unless)
    await let_others_run()
    unless.set()
    await asyncio.wait_for(second, 1)
    assert stage.log == ["a", "not b"]
    stage.ends["a"].set()
    await first
    async with stage.turns.turn(Urgency.PARTIAL) as mine:
        assert mine


async def test_waits_that_ended_leave_nothing_behind() -> None:
    stage = Stage()
    first = stage.enter("first", Urgency.FINAL)
    await let_others_run()
    before = len(asyncio.all_tasks())
    for n in range(50):
        unless = asyncio.Event()
        waiting = stage.enter(f"p{n}", Urgency.PARTIAL, unless)
        await let_others_run(3)
        unless.set()
        await waiting
    await let_others_run()
    assert stage.turns._waiting == []
    assert len(asyncio.all_tasks()) == before
    stage.ends["first"].set()
    await first
