from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import RefusedError
from foretoken.fits.check import SEVERITIES, Check, listed, plural, worst_first

checks = st.builds(
    Check, st.sampled_from("abc"), st.sampled_from(SEVERITIES), st.sampled_from(["one", "two"]), st.just("mend it")
)


@given(st.lists(checks))
@settings(max_examples=30, deadline=None)
def test_the_worst_come_first_and_each_once(found: list[Check]) -> None:
    ordered = worst_first(found)
    ranks = [SEVERITIES.index(check.severity) for check in ordered]
    assert ranks == sorted(ranks)
    assert {(check.code, check.evidence) for check in ordered} == {(check.code, check.evidence) for check in found}
    assert len(ordered) == len({(check.code, check.evidence) for check in ordered})


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_check_is_one_of_three(severity: str) -> None:
    check = Check("few_runs", severity, "8 runs", "add runs")  # type: ignore[arg-type]
    assert [check.is_refusal, check.is_doubt, check.is_note].count(True) == 1
    assert check.is_refusal == (severity == "refusal")


def test_a_refusal_keeps_its_code_evidence_and_cure_as_a_check() -> None:
    check = Check.of_refusal(RefusedError("one_size", "all runs have the same params", "add sizes"))
    assert check == Check("one_size", "refusal", "all runs have the same params", "add sizes")


@pytest.mark.parametrize(("count", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_a_count_and_its_noun(count: int, words: str) -> None:
    assert plural(count, "run") == words


def test_of_many_the_first_few_are_listed() -> None:
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"
