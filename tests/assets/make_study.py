"""Makes the study of this format that later versions must be able to go on with: one that was stopped half way.

usage: python tests/assets/make_study.py     (when the format changes; writes tests/assets/studies/<format>)
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from foretoken.compute.hardware import processor_name
from foretoken.runs.record import RunRecord
from foretoken.runs.study_file import load_study
from foretoken.store.format import FORMAT
from foretoken.store.store import Store
from foretoken.study.design_file import read_design
from foretoken.study.progress import ProgressListener
from foretoken.study.run_study import run

ASSETS = Path(__file__).parent
STOP_AFTER = 7
NOT_KEPT = shutil.ignore_patterns("log", "attempts", "progress.json")


class Stopper(ProgressListener):
    """Presses Ctrl-C after some records, in the middle of a run."""

    count = 0

    def ended(self, record: RunRecord) -> None:
        self.count += 1

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        if self.count >= STOP_AFTER and step > 0:
            raise KeyboardInterrupt


def main() -> None:
    sys.path.insert(0, str(ASSETS.parent))
    from conftest import MINI

    home = ASSETS / "studies" / FORMAT.replace(" ", "-")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "mini.toml").write_text(MINI)
    study = load_study(home / "mini.toml")
    with tempfile.TemporaryDirectory() as workshop:
        folder = Path(workshop) / "runs" / "mini"
        try:
            run(study, folder, Stopper())
        except KeyboardInterrupt:
            assert list(folder.rglob("commit.json")), "it was stopped between two runs: try again"
            shutil.copytree(folder, home / "mini", ignore=NOT_KEPT)
        run(study, folder)
        design = read_design(folder)
        assert design
        expected = {
            "table": Store(folder).table().digest,
            "processor": processor_name(),
            "software": design.target.software,
        }
    (home / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
