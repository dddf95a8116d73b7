from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from domain.admission import Admission
from domain.errors import Overloaded
from tests.unit.domain.waiting import let_others_run


class Crowd:
    """Callers of an admission, each holding its place until it is told to leave."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.inside: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def send(self, *names: str) -> None:
        for name in names:
            self._leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name))
            await let_others_run()

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await let_others_run()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await asyncio.wait({self.tasks[name]})
        await let_others_run()

    async def _visit(self, name: str) -> None:
        async with self._admission.place():
            self.inside.append(name)
            await self._leave[name].wait()
            self.inside.remove(name)

    async def disperse(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
def admission() -> Admission:
    return Admission(running=2, waiting=2, patience=30.0)


@pytest.fixture
async def crowd(admission: Admission) -> AsyncGenerator[Crowd, None]:
    crowd = Crowd(admission)
    yield crowd
    await crowd.disperse()


async def test_as_many_run_as_it_is_told_and_the_others_wait(admission: Admission, crowd: Crowd) -> None:
    await crowd.send("a", "b", "c", "d")
    assert crowd.inside == ["a", "b"]
    assert admission.taken == 4


async def test_limit_tells_how_many_may_run(admission: Admission) -> None:
    assert admission.limit == 2


async def test_those_who_wait_go_in_by_their_order(crowd: Crowd) -> None:
    await crowd.send("a", "b", "c", "d")
    await crowd.leave("b")
    assert crowd.inside == ["a", "c"]
    await crowd.leave("a")
    assert crowd.inside == ["c", "d"]


async def test_a_newcomer_does_not_overtake_those_who_wait(crowd: Crowd) -> None:
    await crowd.send("a", "b", "c")
    crowd._leave["a"].set()
    await crowd.send("late")
    assert crowd.inside == ["b", "c"]


async def test_one_more_than_running_and_waiting_is_refused_at_once(admission: Admission, crowd: Crowd) -> None:
    await crowd.send("a", "b", "c", "d")
    with pytest.raises(Overloaded) as refused:
        async with admission.place():
            pytest.fail("it was let in")
    assert refused.value.retryable
    assert refused.value.retry_after >= 1.0
    assert admission.taken == 4


async def test_without_waiting_places_whoever_cannot_run_is_refused() -> None:
    admission = Admission(running=1, waiting=0, patience=30.0)
    async with admission.place():
        with pytest.raises(Overloaded):
            await admission.place().__aenter__()
    assert admission.taken == 0


async def test_a_place_is_free_again_after_an_error(admission: Admission) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            async with admission.place():
                raise ZeroDivisionError
    assert admission.taken == 0
    async with admission.place():
        assert admission.taken == 1


async def test_a_place_is_free_again_when_its_holder_is_cancelled(admission: Admission, crowd: Crowd) -> None:
    await crowd.send("a", "b", "c")
    await crowd.cancel("a")
    assert crowd.tasks["a"].cancelled()
    assert admission.taken == 2
    assert "c" in crowd.inside


async def test_a_place_in_the_queue_is_free_again_when_its_holder_is_cancelled(
    admission: Admission, crowd: Crowd
) -> None:
    await crowd.send("a", "b", "c", "d")
    await crowd.cancel("c")
    assert crowd.tasks["c"].cancelled()
    assert admission.taken == 3
    await crowd.send("e")
    await crowd.leave("a")
    await crowd.leave("b")
    assert crowd.inside == ["d", "e"]


async def test_cancelled_in_the_moment_of_being_let_in_it_passes_the_place_on(crowd: Crowd) -> None:
    await crowd.send("a", "b", "c", "d")
    crowd._leave["a"].set()
    await asyncio.sleep(0)  # "a" has left and "c" has been called, but has not yet moved
    crowd.tasks["c"].cancel()
    await let_others_run()
    assert crowd.inside == ["b", "d"]


async def test_patience_ends_the_wait_and_the_place_in_the_queue() -> None:
    admission = Admission(running=1, waiting=1, patience=0.01)
    async with admission.place():
        with pytest.raises(Overloaded, match=r"within 0\.01 s") as refused:
            await admission.place().__aenter__()
        assert refused.value.retry_after >= 1.0
        assert admission.taken == 1
    assert admission.taken == 0


async def test_patience_does_not_bound_the_work_itself() -> None:
    admission = Admission(running=1, waiting=0, patience=0.01)
    async with admission.place():
        await asyncio.sleep(0.03)
    assert admission.taken == 0


async def test_a_timeout_of_the_work_itself_is_no_overload(admission: Admission) -> None:
    with pytest.raises(TimeoutError):
        async with admission.place():
            raise TimeoutError


async def test_retry_after_grows_with_those_ahead() -> None:
    async def refused_after(waiting: int) -> float:
        admission = Admission(running=1, waiting=waiting, patience=30.0)
        crowd = Crowd(admission)
        await crowd.send(*(str(i) for i in range(waiting + 1)))
        with pytest.raises(Overloaded) as refused:
            await admission.place().__aenter__()
        await crowd.disperse()
        return refused.value.retry_after

    assert await refused_after(8) > await refused_after(1)


async def test_retry_after_learns_from_how_long_work_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("domain.admission.time.monotonic", lambda: now)
    admission = Admission(running=1, waiting=0, patience=30.0)
    for _ in range(30):
        async with admission.place():
            now += 60.0
    async with admission.place():
        with pytest.raises(Overloaded) as refused:
            await admission.place().__aenter__()
    assert refused.value.retry_after == pytest.approx(60.0, rel=0.1)
