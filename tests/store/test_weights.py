"""Saved weights: whose are saved, what stands beside them, and that damage is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Objective
from foretoken.errors import StoreError
from foretoken.runs.spec import KeepWeights
from foretoken.store import atomic
from foretoken.store.weights import (
    METADATA_FILE,
    ModelMetadata,
    are_committed,
    check_weights,
    commit_weights,
    digest,
    read_metadata,
    wants_weights,
)

from ..runs.test_spec import SPEC

METADATA = ModelMetadata(
    run="0" * 16,
    objective=Objective(kind="masked", corruption_rate=0.3),
    tokenizer_json={"kind": "byte"},
    specials={"[PAD]": 256, "[MASK]": 257},
)
CONTENTS = {"config.json": b"{}", "model.safetensors": bytes(range(200))}


def save(folder: Path) -> None:
    for name, content in CONTENTS.items():
        atomic.write_file(folder / name, content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    commit_weights(tmp_path / "weights", save)
    return tmp_path / "weights"


@pytest.mark.parametrize(("policy", "wanted"), [("none", ""), ("target", "target"), ("all", "small target")])
def test_the_policy_says_whose_weights_are_saved(policy: KeepWeights, wanted: str) -> None:
    assert policy in get_args(KeepWeights)
    runs = {"small": SPEC, "target": replace(SPEC, group="target")}
    assert [name for name, run in runs.items() if wants_weights(run, policy)] == wanted.split()


def test_metadata_survives_its_json(tmp_path: Path) -> None:
    assert read_metadata(tmp_path) is None
    atomic.write_json(tmp_path / METADATA_FILE, METADATA.to_json())
    assert read_metadata(tmp_path) == METADATA


@pytest.mark.parametrize(
    "change",
    [
        {"mood": "good"},
        {"objective": {"kind": "hope"}},
        {"objective": {"kind": "masked", "depth": 3}},
        {"objective": {"kind": "causal", "corruption_rate": 0.3}},
        {"objective": 3},
        {"specials": {"[PAD]": -1}},
        {"specials": {"[PAD]": "one"}},
        {"specials": None},
    ],
    ids=str,
)
def test_metadata_that_is_not_ours_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / METADATA_FILE).write_text(json.dumps({**METADATA.to_json(), **change}))
    with pytest.raises(StoreError, match=r"foretoken\.json is not as this version writes it"):
        read_metadata(tmp_path)


@pytest.mark.parametrize("name", METADATA.to_json())
def test_metadata_without_one_of_its_names_is_refused(name: str, tmp_path: Path) -> None:
    values = {key: value for key, value in METADATA.to_json().items() if key != name}
    (tmp_path / METADATA_FILE).write_text(json.dumps(values))
    with pytest.raises(StoreError, match=r"foretoken\.json is not as this version writes it"):
        read_metadata(tmp_path)


def test_whole_weights_are_marked_and_sound(folder: Path) -> None:
    assert are_committed(folder)
    check_weights(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(CONTENTS)), data=st.data())
def test_every_flipped_byte_is_noticed(name: str, data: st.DataObject, folder: Path) -> None:
    content, before = bytearray(CONTENTS[name]), digest(folder)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        check_weights(folder)
    assert digest(folder) != before
    (folder / name).write_bytes(CONTENTS[name])
    assert digest(folder) == before


@pytest.mark.parametrize("change", ["add", "delete"])
def test_a_file_more_or_less_is_noticed(change: str, folder: Path) -> None:
    if change == "add":
        (folder / "more.bin").write_bytes(b"1")
    else:
        (folder / "config.json").unlink()
    with pytest.raises(StoreError, match="does not mark what is there"):
        check_weights(folder)


def test_weights_that_could_not_be_written_have_no_mark(folder: Path) -> None:
    def fail(folder: Path) -> None:
        save(folder)
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        commit_weights(folder, fail)
    assert not are_committed(folder)
