"""Traces: valid in the trace-event format, and true."""

import json
import threading
from typing import Any

import pytest

import engine
from tests.threads.together import Gate, together

NUMBER = (int, float)

# The trace-event format: what each phase must have, beside ph, name, pid, tid.
FIELDS: dict[str, dict[str, Any]] = {
    "X": {"ts": NUMBER, "dur": NUMBER, "cat": str, "args": dict},
    "i": {"ts": NUMBER, "s": str, "cat": str},
    "s": {"ts": NUMBER, "id": int, "cat": str},
    "f": {"ts": NUMBER, "id": int, "cat": str, "bp": str},
    "M": {"args": dict},
}


def check(document: Any) -> None:
    """The document is one in the JSON object form of the trace-event format."""
    assert set(document) == {"traceEvents", "displayTimeUnit"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    events = document["traceEvents"]
    for event in events:
        fields = {"ph": str, "name": str, "pid": int, "tid": int, **FIELDS[event["ph"]]}
        for name, kind in fields.items():
            assert isinstance(event[name], kind), (name, event)
        assert event.get("dur", 0) >= 0
        if event["ph"] == "i":
            assert event["s"] in ("t", "p", "g")
    check_rows(events)
    check_arrows(events)


def check_rows(events: list[Any]) -> None:
    """Every thread has a name, and its spans lie in each other or apart."""
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    assert named == {event["tid"] for event in events}
    for row in named:
        open_until: list[float] = []
        spans = [e for e in events if e["ph"] == "X" and e["tid"] == row]
        for span in sorted(spans, key=lambda e: (e["ts"], -e["dur"])):
            while open_until and open_until[-1] <= span["ts"]:
                open_until.pop()
            end = span["ts"] + span["dur"]
            assert not open_until or end <= open_until[-1] + 1e-3, span  # rounding of a nanosecond
            open_until.append(end)


def check_arrows(events: list[Any]) -> None:
    """Every arrow has two ends, in time's order, in two threads, each in a span."""
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert set(starts) == set(ends)
    for key, start in starts.items():
        end = ends[key]
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
        assert start["ts"] <= end["ts"]
        assert start["tid"] != end["tid"]
        for event in (start, end):
            assert any(
                span["ph"] == "X"
                and span["tid"] == event["tid"]
                and span["ts"] <= event["ts"] <= span["ts"] + span["dur"]
                for span in events
            )


def saved(trace: engine.Trace, folder: Any) -> Any:
    path = folder / "trace.json"
    trace.save(path)
    return json.loads(path.read_text("utf-8"))


def spans(document: Any) -> list[Any]:
    return [event for event in document["traceEvents"] if event["ph"] == "X"]


def helped_backward() -> None:
    """A backward of which a worker runs a node, for sure."""
    x = engine.ones(50, 50, requires_grad=True)
    gate = Gate()
    parts = [x.exp(), x.tanh()]

    def helped(g: Any) -> None:
        if threading.current_thread().name.startswith("engine-worker"):
            gate.open()
        else:
            gate.hold()

    for part in parts:
        part.register_hook(helped)
    with engine.WorkerPool(1, heavy=0):
        (parts[0] + parts[1]).sum().backward()


def test_a_helped_backward_is_a_valid_trace_with_its_threads_nodes_and_arrows(tmp_path):
    with engine.observe(engine.Trace()) as trace:
        helped_backward()
    document = saved(trace, tmp_path)
    check(document)
    events = document["traceEvents"]
    threads = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert threads == {"MainThread", "engine-worker-0"}
    names = [event["name"] for event in spans(document) if event["cat"] == "node"]
    assert sorted(names) == sorted(
        ["SumBackward0", "AddBackward0", "ExpBackward0", "TanhBackward0", "AccumulateGrad"]
    )
    assert any(event["ph"] == "s" for event in events)
    (exp,) = [event for event in spans(document) if event["name"] == "ExpBackward0"]
    assert (exp["args"]["shape"], exp["args"]["dtype"]) == ([50, 50], "float32")
    assert [event["name"] for event in events if event["ph"] == "i"] == ["accumulate"]


def test_nodes_lie_in_their_backward_and_nested_ones_in_the_node(tmp_path):
    x = engine.ones(3, requires_grad=True)
    y, nested = x * 2, (x * 5).sum()
    y.register_hook(lambda g: nested.backward())
    with engine.observe(engine.Trace()) as trace, engine.WorkerPool(0):
        y.sum().backward()
    document = saved(trace, tmp_path)
    check(document)
    outer, inner = [event for event in spans(document) if event["cat"] == "task"]
    assert outer["ts"] < inner["ts"]
    assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
    assert outer["args"] == {"nodes": 3}


def test_threads_with_the_same_graph_each_have_a_row(tmp_path):
    x = engine.ones(3, requires_grad=True)

    def work() -> None:
        for _ in range(20):
            x.exp().sum().backward()

    with engine.observe(engine.Trace(), everywhere=True) as trace:
        together(work, work, work)
    document = saved(trace, tmp_path)
    check(document)
    assert len({event["tid"] for event in spans(document)}) == 3
    assert sum(event["cat"] == "task" for event in spans(document)) == 60


def test_what_raised_is_shown_as_unfinished(tmp_path):
    x = engine.ones(3, requires_grad=True)
    y = x.exp()
    y.register_hook(lambda g: 1 / 0)
    with engine.observe(engine.Trace()) as trace, engine.WorkerPool(0):
        with pytest.raises(ZeroDivisionError):
            y.sum().backward()
        x.sum().backward()
    document = saved(trace, tmp_path)
    check(document)
    unfinished = [e["name"] for e in spans(document) if e["args"].get("unfinished")]
    assert unfinished == ["ExpBackward0"]


def test_what_goes_on_at_the_moment_is_shown_as_unfinished():
    x, gate = engine.ones(3, requires_grad=True), Gate()
    x.register_hook(gate.hold)
    with engine.observe(engine.Trace(), everywhere=True) as trace:
        thread = threading.Thread(target=x.sum().backward)
        thread.start()
        gate.reached()
        check({"traceEvents": trace.events(), "displayTimeUnit": "ms"})
        unfinished = [e["name"] for e in trace.events() if e.get("args", {}).get("unfinished")]
        gate.open()
        thread.join()
    assert unfinished == ["backward", "AccumulateGrad"]


def test_updates_are_marks(tmp_path):
    w = engine.ones(3, requires_grad=True)
    w.grad = engine.ones(3)
    with engine.observe(engine.Trace()) as trace:
        engine.optim.SGD([w], lr=0.1).step()
    document = saved(trace, tmp_path)
    check(document)
    (mark,) = [event for event in document["traceEvents"] if event["ph"] == "i"]
    assert (mark["name"], mark["args"]) == ("update", {"shape": [3]})


def test_nothing_seen_is_a_valid_trace(tmp_path):
    check(saved(engine.Trace(), tmp_path))


# The check is one


@pytest.mark.parametrize(
    "spoil",
    [
        lambda events: events[0].pop("name"),
        lambda events: events[1].update(dur=-1.0),
        lambda events: events[1].update(ts="0"),
        lambda events: events[1].update(tid=77),
        lambda events: events[2].update(dur=1e9),
        lambda events: events.append({**events[1], "ph": "s", "id": 99}),
        lambda events: events[1].update(ph="Q"),
    ],
)
def test_a_trace_that_is_none_is_noticed(spoil):
    x = engine.ones(3, requires_grad=True)
    with engine.observe(engine.Trace()) as trace:
        x.exp().sum().backward()
    events = trace.events()
    check({"traceEvents": events, "displayTimeUnit": "ms"})
    spoil(events)
    with pytest.raises((AssertionError, KeyError)):
        check({"traceEvents": events, "displayTimeUnit": "ms"})
