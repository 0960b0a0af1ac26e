"""`diagnose` and `approaches`, and the options that every verb on tables shares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.cli.options import open_table
from foretoken.errors import ForetokenError, TableError
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.record import RunRecord
from foretoken.runs.sources import parse_map
from foretoken.store.store import Store

from ..runs.test_spec import SPEC


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    law, generator, rows = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0), []
    for flops in np.geomspace(1e17, 1e20, 6):
        assert CHINCHILLA.optimum is not None
        sizes = CHINCHILLA.optimum(law, flops)[0] * 1.6 ** np.arange(-3.0, 4.0)
        loss = CHINCHILLA.evaluate(law, params=sizes, tokens=flops / 6 / sizes) * np.exp(
            0.003 * generator.standard_normal(7)
        )
        rows += [(N, flops / 6 / N, L, "a") for N, L in zip(sizes, loss, strict=True)]
    frame = pd.DataFrame(rows, columns=["params_total", "D", "val_loss", "set"])
    pd.concat([frame, frame.assign(set="b", val_loss=9.0)]).to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


MAPPED = ("--map", "loss=val_loss,tokens=D", "--where", "set=a")


def test_approaches_prints_every_route_with_its_interval(csv: Path) -> None:
    told = json.loads(invoke("approaches", csv, *MAPPED, "--json"))
    routes = {route["name"]: route for route in told["routes"]}
    assert routes["approach 3"]["exponent"] == pytest.approx(0.513, abs=0.02)
    assert all((route["exponent"] is None) == (route["reason"] is not None) for route in routes.values())
    text = invoke("approaches", csv, *MAPPED)
    assert "approach 2 (interpolated)" in text
    assert "--where set=a keeps 42 of 84 rows" in text


def test_diagnose_prints_checks_and_conventions(csv: Path) -> None:
    told = json.loads(invoke("diagnose", csv, *MAPPED, "--json"))
    assert set(told) >= {"checks", "conventions"}
    assert {check["code"] for check in told["checks"]} <= {"flops_assumed", "irreducible_loss_not_identified"}
    assert told["conventions"]["entries"]
    assert "42 usable runs" in invoke("diagnose", csv, *MAPPED)


def test_diagnose_looks_at_a_table_that_fit_refuses(csv: Path) -> None:
    mixed = ("--map", "loss=val_loss,tokens=D,eval_set=set")
    with pytest.raises(ForetokenError, match="mixed_eval_sets"):
        invoke("fit", csv, *mixed)
    told = json.loads(invoke("diagnose", csv, *mixed, "--json"))
    assert told["checks"][0]["code"] == "mixed_eval_sets"


def test_a_folder_of_records_is_a_table_and_an_empty_one_is_no_study(tmp_path: Path) -> None:
    Store(tmp_path).put_record(RunRecord(spec=SPEC, status="finished", loss=2.0))
    assert len(open_table(tmp_path)) == 1
    assert len(open_table(tmp_path, None, ["loss<3"])) == 1
    with pytest.raises(TableError, match="leaves no row"):
        open_table(tmp_path, None, ["loss>3"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ForetokenError, match="no study has been started"):
        open_table(tmp_path / "empty")


def test_a_studys_folder_needs_no_map(tmp_path: Path) -> None:
    (tmp_path / "design.json").write_text("{}")
    with pytest.raises(ForetokenError, match="leave out rename="):
        open_table(tmp_path, ["loss=val_loss"])


@pytest.mark.parametrize("text", ["loss", "loss=", "=x"])
def test_an_unreadable_map_is_an_error(text: str) -> None:
    with pytest.raises(ForetokenError, match="loss=val_loss"):
        parse_map(text)
