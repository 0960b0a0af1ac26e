"""A module whose import stops or kills its process, the first time or always."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from foretoken.launchers.launcher import Report, Stop

mark = Path(os.environ["LOST_MARK"])
if os.environ["LOST_ALWAYS"] or not mark.exists():
    mark.touch()
    os.kill(os.getpid(), getattr(signal, os.environ["LOST_BY"]))


def job(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    return "alive"
