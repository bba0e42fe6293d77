"""Any graph, policy, schedule and number of workers: the answer of a sequential run."""

from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.runtime.ready import Newest, Seeded
from tests.properties.dags import build, functional, gradients
from tests.threads.together import together

SIZES = st.sampled_from([1, 500, 501, 10_000])


def bits(grads):
    return [None if g is None else g.tobytes() for g in grads]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    nodes=st.integers(1, 30),
    leaves=st.integers(1, 4),
    size=SIZES,
    workers=st.integers(0, 3),
    order=st.none() | st.integers(0, 10**6),
    policy=st.sampled_from(["locked", "racy", "functional"]),
)
def test_every_way_to_run_it_gives_the_same_bits(seed, nodes, leaves, size, workers, order, policy):
    graph = build(seed, nodes, leaves, (size,))
    with engine.WorkerPool(0):
        expected = bits(gradients(graph))
    queue = Newest if order is None else lambda: Seeded(order)
    with engine.WorkerPool(workers, heavy=0, order=queue):
        if policy == "functional":
            assert bits(functional(graph)) == expected
        else:
            assert bits(gradients(graph, accumulation=policy)) == expected


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), size=SIZES, workers=st.integers(0, 2))
def test_threads_with_graphs_of_their_own_do_not_meet(seed, size, workers):
    def answer(number):
        graph = build(seed + number, 15, 2, (size,))
        with engine.WorkerPool(workers, heavy=0):
            return bits(gradients(graph))

    alone = [answer(number) for number in range(3)]
    assert together(*[lambda n=n: answer(n) for n in range(3)]) == alone
