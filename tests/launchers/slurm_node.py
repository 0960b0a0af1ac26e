"""A cluster of one node from Debian's packages (slurm-wlm, munge), in a folder: munged, slurmctld and slurmd.

`python tests/launchers/slurm_node.py FOLDER` starts it, prints the line that lets SLURM's commands find it, and ends it
when its input ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo", "squeue", "scancel", "scontrol")
START_SECONDS = 30.0
CONFIGURATION = """
ClusterName=foretoken
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
KillWait=20
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=small Nodes={host} Default=YES MaxTime=60 State=UP
"""


class NoNode(Exception):
    """Why there is no SLURM here."""


@contextlib.contextmanager
def slurm_node(folder: Path) -> Iterator[Path]:
    """The path of its slurm.conf, for SLURM_CONF, while it runs. Raises NoNode where it cannot."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=path)]:
        raise NoNode(f"no {', '.join(missing)} here: apt-get install slurm-wlm munge")
    if os.geteuid():
        raise NoNode("slurmd is started by root alone")
    configuration = _write_configuration(folder)
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(configuration)}
    names = ("munged", "slurmctld", "slurmd")
    try:
        _start_all(folder, environment)
        yield configuration
    finally:
        subprocess.run(["scancel", "--me"], env=environment, capture_output=True, check=False)
        for name in reversed(names):
            with contextlib.suppress(OSError, ValueError):
                _end(int((folder / f"{name}.pid").read_text()))


def _write_configuration(folder: Path) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    text = CONFIGURATION.format(
        host=socket.gethostname().split(".")[0], ports=ports, folder=folder, cores=os.cpu_count()
    )
    (folder / "slurm.conf").write_text(text)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    return folder / "slurm.conf"


def _start_all(folder: Path, environment: dict[str, str]) -> None:
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log"}
    options = [f"--{name}={folder / file}" for name, file in {**munge, "seed-file": "munge.seed"}.items()]
    _start(["munged", "--force", "--num-threads=2", *options], environment)
    _start(["slurmctld"], environment)
    # Which of the kernel's control groups there are differs between containers.
    for number, plugin in enumerate(("cgroup/v1", "cgroup/v2", "disabled")):
        (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        with contextlib.suppress(NoNode):
            _start(["slurmd", "-N", socket.gethostname().split(".")[0]], environment)
            break
        if number == 2:
            raise NoNode(f"slurmd does not start: {_end_of(folder / 'slurmd.log')}")
    last = time.monotonic() + START_SECONDS
    while "idle" not in (told := _ask(["sinfo", "--noheader", "--format=%T"], environment)):
        if time.monotonic() > last:
            raise NoNode(f"the node does not come up: {told.strip()}; {_end_of(folder / 'slurmctld.log')}")
        time.sleep(0.2)


def _start(command: list[str], environment: dict[str, str]) -> None:
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if result.returncode:
        raise NoNode(f"{command[0]} does not start: {result.stderr.strip()[-300:]}")


def _end(pid: int) -> None:
    """Raises ProcessLookupError when it has ended: until then it writes into its folder."""
    last = time.monotonic() + START_SECONDS
    os.kill(pid, 15)
    while time.monotonic() < last:
        os.kill(pid, 0)
        time.sleep(0.05)


def _ask(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60).stdout


def _end_of(log: Path) -> str:
    return log.read_text()[-300:] if log.is_file() else "no log"


if __name__ == "__main__":
    with slurm_node(Path(sys.argv[1]).resolve()) as configuration:
        print(f"export SLURM_CONF={configuration}", flush=True)
        sys.stdin.read()
