"""Events, messages and jobs by hypothesis: whatever their fields hold, they come back from JSON as they were."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.launchers.jobs import (
    CalibrationJob,
    Operation,
    ProfilingJob,
    Speed,
    StepTimes,
    ThreadsJob,
    ThreadSpeed,
    TrainingJob,
    WorkerContext,
)
from foretoken.launchers.launcher import (
    EVENTS,
    Ended,
    Event,
    Note,
    Released,
    Silent,
    Started,
    Step,
    event_from_json,
    event_to_json,
)
from foretoken.launchers.messages import (
    KINDS,
    Assign,
    Beat,
    Done,
    End,
    Failed,
    Halt,
    Left,
    Message,
    Ready,
    Reported,
    Serve,
    from_line,
    to_line,
)
from foretoken.runs.record import RunStatus
from foretoken.runs.spec import KeepWeights

from ..runs.test_spec import SPEC

TEXT = st.text(max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(TEXT, PLAIN, max_size=3)
EVENT: dict[type[Event], st.SearchStrategy[Any]] = {
    Started: st.builds(Started),
    Released: st.builds(Released),
    Step: st.builds(Step, TEXT, st.integers(0), st.integers(0), st.none() | NUMBER),
    Ended: st.builds(Ended, TEXT, st.sampled_from(get_args(RunStatus)), st.booleans()),
    Note: st.builds(Note, TEXT),
    Silent: st.builds(Silent, NUMBER),
}
ANY_EVENT = st.one_of(*EVENT.values())
MESSAGE: dict[type[Message], st.SearchStrategy[Any]] = {
    Serve: st.builds(Serve, TEXT),
    Assign: st.builds(Assign, TEXT, OBJECT),
    Halt: st.builds(Halt),
    End: st.builds(End),
    Left: st.builds(Left, TEXT),
    Ready: st.builds(Ready),
    Beat: st.builds(Beat),
    Reported: st.builds(Reported, TEXT, ANY_EVENT),
    Done: st.builds(Done, TEXT, PLAIN),
    Failed: st.builds(Failed, TEXT, TEXT, st.booleans()),
}
CONTEXTS = st.builds(
    WorkerContext,
    folder=st.sampled_from([Path("runs/a"), Path("/abs/b"), Path("with space/c")]),
    corpus=st.just(Path("runs/corpora/x")),
    peak_flops=st.none() | st.floats(1.0, 1e15),
    threads_in_use=st.integers(1, 999),
    checkpoint_seconds=st.floats(0.0, 1e6),
    attempt=st.none() | st.integers(0, 99),
    keep_weights=st.sampled_from(get_args(KeepWeights)),
)
RUNS = st.lists(st.builds(replace, st.just(SPEC), seed=st.integers(0, 99), group=TEXT), max_size=3)
TIMES = st.builds(
    StepTimes,
    tokens_per_second=NUMBER,
    seconds_per_step=NUMBER,
    peak_flops=NUMBER,
    share_of_peak=NUMBER,
    phases=st.dictionaries(TEXT, NUMBER, max_size=3),
    operations=st.lists(st.builds(Operation, TEXT, NUMBER, NUMBER), max_size=3),
)
JOBS: dict[type[Any], st.SearchStrategy[Any]] = {
    WorkerContext: CONTEXTS,
    TrainingJob: st.builds(TrainingJob, RUNS, CONTEXTS),
    CalibrationJob: st.builds(CalibrationJob, st.just(SPEC)),
    ThreadsJob: st.builds(ThreadsJob, st.just(SPEC), st.lists(st.integers(1, 99), max_size=3)),
    ThreadSpeed: st.builds(ThreadSpeed, st.integers(1, 99), NUMBER),
    ProfilingJob: st.builds(ProfilingJob, st.just(SPEC), st.just(Path("c"))),
    Speed: st.builds(Speed, NUMBER, NUMBER),
    StepTimes: TIMES,
}


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_event_comes_back_with_its_type(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(EVENT[kind])
    written = json.loads(json.dumps(event_to_json(event)))
    again = event_from_json(written)
    assert type(again) is kind
    assert again == event
    assert set(written) == {"kind", *(field.name for field in fields(event))}
    assert EVENTS[written["kind"]] is kind


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_message_is_one_line_whatever_it_holds(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(MESSAGE[kind])
    line = to_line(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert from_line(line) == message


@pytest.mark.parametrize("kind", JOBS, ids=lambda kind: kind.__name__)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_job_comes_back_from_json(kind: type[Any], data: st.DataObject) -> None:
    job = data.draw(JOBS[kind])
    assert kind.from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.mark.parametrize("kind", EVENTS, ids=str)
def test_an_event_with_an_unknown_field_is_refused(kind: str) -> None:
    with pytest.raises(TypeError, match="surprise"):
        event_from_json({"kind": kind, "surprise": 1})


@pytest.mark.parametrize("line", [b'{"kind": "dead", "code": 1}', b'{"kind": "halted"}', b"{}"])
def test_what_no_worker_writes_is_refused(line: bytes) -> None:
    """`Dead` is noticed by the driver: a worker that could claim it would end its own job twice."""
    with pytest.raises(KeyError):
        from_line(line)


@pytest.mark.parametrize("line", ["", "[", '{"kind": "re'])
def test_half_a_line_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        from_line(line)


def test_reading_changes_nothing_of_what_it_reads() -> None:
    written = event_to_json(Step("a", 1, 2, 0.5))
    before = dict(written)
    event_from_json(written)
    assert written == before
