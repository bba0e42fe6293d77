"""await handle: the event loop goes on, whichever loop it is, and nobody polls."""

import asyncio
import threading

import pytest

import engine
from engine.errors import CancelledError, DeadlineError
from tests.runtime.tasks import busy, me
from tests.threads.together import PATIENCE, Gate, together


def run(main):
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def test_await_gives_the_result():
    async def main():
        x = engine.ones(3, requires_grad=True)
        (g,) = await engine.submit(engine.grad, (x * 2).sum(), x)
        await engine.submit((x * 3).sum().backward)
        return g.tolist(), x.grad.tolist()

    with engine.WorkerPool(1):
        assert run(main()) == ([2.0] * 3, [3.0] * 3)


def test_await_raises_what_the_task_raised():
    async def main():
        await engine.submit(int, "seven")

    with engine.WorkerPool(1), pytest.raises(ValueError, match="seven"):
        run(main())


def test_many_at_once_and_one_awaited_by_several():
    x = engine.ones(10, requires_grad=True)

    async def main():
        handles = [engine.submit((x * 1).sum().backward) for _ in range(100)]
        await asyncio.gather(*handles, *[handles[50]] * 3)

    with engine.WorkerPool(2):
        run(main())
    assert (x.grad.numpy() == 100).all()


def test_the_loop_goes_on_while_a_task_runs():
    gate = Gate()

    async def main():
        handle = engine.submit(gate.hold)
        waiting = asyncio.ensure_future(handle)
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()  # by the loop itself: were it blocked, nobody would
        await waiting

    with engine.WorkerPool(1):
        run(main())


def test_nobody_polls():
    """While the task runs the loop has nothing to do: it sleeps until it is told."""
    turns = []

    class Counting(asyncio.SelectorEventLoop):
        def _run_once(self):
            turns.append(1)
            super()._run_once()  # type: ignore[misc]

    gate = Gate()

    async def main():
        handle = engine.submit(gate.hold)
        threading.Timer(0.3, gate.open).start()
        await handle

    loop = Counting()
    with engine.WorkerPool(1):
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
    assert len(turns) < 20


def test_several_loops_await_one_handle():
    gate = Gate()

    def held():
        gate.hold()
        return me()

    async def main(handle):
        return await handle

    with engine.WorkerPool(1):
        handle = engine.submit(held)
        gate.reached()
        opener = threading.Thread(target=gate.open)
        answers = together(*[lambda: run(main(handle))] * 3, opener.start)
        opener.join()
    assert answers[:3] == ["engine-worker-0"] * 3


def test_a_handle_awaited_after_its_end():
    async def main(handle):
        return await handle

    with engine.WorkerPool(0):
        handle = engine.submit(me)
    assert run(main(handle)) == me()


def test_a_cancelled_task_raises_in_the_coroutine_and_leaves_it_alive():
    async def main():
        handle = engine.submit(me)
        waiting = asyncio.ensure_future(handle)
        await asyncio.sleep(0)
        handle.cancel()
        with pytest.raises(CancelledError):
            await waiting
        return waiting.cancelled()

    with busy():
        assert run(main()) is False


def test_who_is_cancelled_while_it_awaits_cancels_the_task():
    async def main():
        handle, kept = engine.submit(me), engine.submit(me)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(kept), 0.01)
        assert not kept.done()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(handle, 0.01)
        return handle

    with busy():
        assert run(main()).cancelled()


def test_a_deadline_passes_while_a_coroutine_awaits():
    async def main():
        with pytest.raises(DeadlineError):
            await engine.submit(me, timeout=0.02)

    with busy():
        run(main())


def test_a_loop_that_is_closed_when_the_task_ends_does_no_harm():
    gate = Gate()

    async def begin():
        awaiting = handle.__await__()
        next(awaiting)
        return awaiting

    with engine.WorkerPool(1):
        handle = engine.submit(gate.hold)
        gate.reached()
        loop = asyncio.new_event_loop()
        awaiting = loop.run_until_complete(begin())
        loop.close()
        gate.open()
        handle.result()
        awaiting.close()
    assert handle.done()


def test_a_loop_inside_of_a_task_may_await_a_task_of_the_same_pool():
    async def inner(depth):
        return await engine.submit(outer, depth - 1)

    def outer(depth):
        return depth and 1 + asyncio.run(inner(depth))

    with engine.WorkerPool(1):
        assert engine.submit(outer, 1).result(PATIENCE) == 1
