"""What the tests of faults share: the tiny study, trained in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import sweep, tiny


@pytest.fixture
def in_process() -> Iterator[None]:
    """Studies train in the test's process."""
    with tiny.in_process():
        yield


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> sweep.Undisturbed:
    """What the undisturbed study ends in; its folder is not to be changed."""
    with tiny.in_process():
        return sweep.undisturbed(tmp_path_factory.mktemp("undisturbed"))
