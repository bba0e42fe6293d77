"""Both kinds of rendezvous release all or nobody, again and again."""

import threading

import pytest

from stress.core import rendezvous
from stress.core.rendezvous import Barrier, Broken, Spin

PARTIES, ROUNDS = 3, 200


@pytest.fixture(params=[Spin, Barrier])
def meeting(request):
    return request.param(PARTIES)


def run_threads(target):
    threads = [threading.Thread(target=target, args=(index,)) for index in range(PARTIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_nobody_passes_before_the_last_has_come(meeting):
    arrived = [0] * PARTIES
    early = []

    def party(index):
        for number in range(1, ROUNDS + 1):
            arrived[index] = number
            meeting.wait(index)
            if min(arrived) < number:
                early.append((index, number))
            meeting.wait(index)

    run_threads(party)
    assert early == []


def test_a_broken_rendezvous_lets_everybody_go(meeting):
    released = []

    def party(index):
        if index == 0:
            meeting.abort()
            return
        try:
            meeting.wait(index)
        except Broken:
            released.append(index)

    run_threads(party)
    assert sorted(released) == [1, 2]


@pytest.mark.parametrize(
    ("gil", "parties", "kind"), [(False, 2, Spin), (False, 3, Barrier), (True, 2, Barrier)]
)
def test_spinning_is_for_threads_that_truly_run_at_once(monkeypatch, gil, parties, kind):
    monkeypatch.setattr(rendezvous, "gil_enabled", lambda: gil)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert type(rendezvous.rendezvous(parties)) is kind
