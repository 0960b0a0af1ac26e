"""Jobs on Ray: one actor per worker, on this machine or on the nodes of a cluster. Ray is imported when needed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TypeVar

from foretoken.compute.hardware import available_cores
from foretoken.errors import ForetokenError, needing
from foretoken.launchers.jobs import JsonObject
from foretoken.launchers.launcher import Job, Machine, OnEvent, go_on, ignore
from foretoken.launchers.local import RayFolder, sweep, this_machine
from foretoken.launchers.messages import Assign, Beat, Dead, Halt, Message, Serve, from_line, to_line
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.worker import Tasks, do_jobs, print_into
from foretoken.launchers.worker_process import thread_environment
from foretoken.launchers.worker_state import Inbox, Patience, Worker
from foretoken.store.atomic import delete_file, write_file

REACH_SECONDS, FACTS_SECONDS, ANSWER_SECONDS = 5.0, 60.0, 90.0
"""How long an address may take to answer, a cluster to say what its machines are, and Ray to answer anything else."""
LOOK_SECONDS = 5.0
"""Time between two looks at the nodes."""
POLL_SECONDS = 2.0
"""Time after which a poll of an actor is answered at the latest."""
OBJECT_STORE_BYTES = 100_000_000
"""Of a Ray that is started here: messages are small, and tokens are read from the disk."""
Answer = TypeVar("Answer")
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
"""Environment for Ray: nothing is sent to anybody, and a worker without GPUs sees what its machine shows."""


class RayLauncher(PoolLauncher):
    """Actors of Ray, with a CPU for each thread of a job and the job's GPUs.

    `address` is a cluster's, host:port or "auto"; empty starts Ray on this machine, with `cpus` CPUs (by default as
    many as there are cores), which need not be real ones.
    """

    def __init__(self, address: str = "", cpus: int | None = None, patience: Patience | None = None) -> None:
        super().__init__(patience)
        self.address, self.cpus = address, cpus
        self.session: _Session | None = None
        self.looked = 0.0

    def prepare(self, jobs: Sequence[Job], workers: int, threads: int) -> None:
        """Connect to Ray.

        Raises MissingExtraError where Ray is not installed, and ForetokenError for an address that does not answer and
        for workers that no node can hold.
        """
        self._check_room(self._connected(), threads, max(job.gpus for job in jobs))

    def start(self, count: int, threads: int, gpus: float, log: Path, inbox: Inbox) -> list[Worker]:
        """So many actors; those for which there is no room yet wait, and the others do their jobs meanwhile."""
        ray = self._connected()
        return [RayWorker(ray, self._check_nodes, gpus, threads, log, inbox) for _ in range(count)]

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        """The smallest of the cluster's nodes, and how many there are; this machine where Ray is started here.

        Raises what `launch` raises, and ForetokenError (folder_not_shared) for a node that sees another folder.
        """
        if not self.address:
            with needing("launch.kind = 'ray'", "ray"):
                if find_spec("ray") is None:
                    raise ModuleNotFoundError(name="ray")
            return this_machine()
        return _measure_cluster(self._connected(), log)

    def close(self) -> None:
        """End the workers, and the Ray that was started here."""
        super().close()
        if self.session:
            self.session.close()
            self.session = None

    def _connected(self) -> ModuleType:
        if self.session is None:
            self.session = _Session(self.address, self.cpus)
        return self.session.ray

    def _check_nodes(self) -> None:
        """Raise ForetokenError when all nodes are lost; asked now and then while workers wait for a place."""
        if self.session is None or time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        if not any(node["Alive"] for node in in_time(self.session.ray.nodes)):
            cure = "start Ray again, if it was not started by foretoken, and do the same again: what is done is kept"
            raise ForetokenError("no node of Ray is left", cure=cure, code="unreachable")

    def _check_room(self, ray: ModuleType, threads: int, gpus: float) -> None:
        nodes = [node["Resources"] for node in in_time(ray.nodes) if node["Alive"]]
        for kind, needed in (("CPU", float(threads)), ("GPU", gpus)):
            most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
            if needed > most:
                raise ForetokenError(
                    f"no node of Ray has as many {kind}s as a worker needs",
                    expected=f"a node with {needed:g}",
                    got=f"{most:g} at the most, on {len(nodes)} nodes",
                    cure="lower launch.gpus" if kind == "GPU" else "lower launch.target_threads",
                    code="no_room",
                )


class _Session:
    """A connection to Ray, and the folder of one that was started here."""

    def __init__(self, address: str, cpus: int | None) -> None:
        os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})
        # Nobody else on this machine shall speak with a Ray that is started here. It reads this when it is imported.
        if not address and "ray" not in sys.modules and not any(name.startswith("RAY_AUTH") for name in os.environ):
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        with needing("launch.kind = 'ray'", "ray"):
            import ray
        self.ray: ModuleType = ray
        self.close: Callable[[], object] = lambda: None
        """Ends what was begun here: nothing, where somebody else has started Ray in this process."""
        if ray.is_initialized():
            return
        handler = signal.getsignal(signal.SIGTERM)
        if address:
            _connect(ray, address)
        else:
            self._start(ray, cpus or available_cores())
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray sets one of its own
        self.close = weakref.finalize(self, _shut_down, ray)

    def _start(self, ray: ModuleType, cpus: int) -> None:
        sweep()
        folder = RayFolder()
        weakref.finalize(self, folder.remove)
        with folder.marked():
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                dashboard_host="127.0.0.1",
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                configure_logging=False,
                _temp_dir=str(folder.path),
                _node_ip_address="127.0.0.1",
            )


def in_time(call: Callable[[], Answer], seconds: float = ANSWER_SECONDS) -> Answer:
    """What a call of Ray's gives: some of them wait without a bound for processes that are dead.

    Raises ForetokenError where it takes too long, and whatever the call raises.
    """
    done: Future[Answer] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return done.result(seconds)
    except FutureTimeout:
        cure = "start Ray again, if it was not started by foretoken, and do the same again: what is done is kept"
        raise ForetokenError(f"Ray gives no answer within {seconds:g} s", cure=cure, code="unreachable") from None


def _shut_down(ray: ModuleType) -> None:
    with contextlib.suppress(ForetokenError):
        # As this interpreter ends it may start no threads any more.
        in_time(ray.shutdown) if threading.main_thread().is_alive() else ray.shutdown()


def _connect(ray: ModuleType, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        if host:
            # Ray itself would try for minutes.
            socket.create_connection((host, int(port)), REACH_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ForetokenError(
            f"no Ray answers at launch.address = {address!r}",
            got=str(error).strip().split("\n")[0],
            cure="start Ray there (`ray start`); where it asks for a token, set RAY_AUTH_MODE=token; without `address`"
            " Ray is started on this machine",
            code="unreachable",
        ) from None


def _measure_cluster(ray: ModuleType, log: Path) -> Machine:
    token = log.parent / f"token-{uuid.uuid4().hex}.txt"
    write_file(token, token.stem.encode())
    try:
        facts = ray.remote(machine_facts)
        nodes = [node["NodeID"] for node in in_time(ray.nodes) if node["Alive"] and node["Resources"].get("CPU")]
        strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = [
            facts.options(num_cpus=0, scheduling_strategy=strategy(node, soft=False)).remote(str(token.resolve()))
            for node in nodes
        ]
        answers: list[JsonObject] = ray.get(asked, timeout=FACTS_SECONDS)
    except ray.exceptions.RayError as error:
        got = str(error).strip().split("\n")[-1]
        raise ForetokenError("the nodes of Ray do not say what they are", got=got, cure="see `ray status`") from None
    finally:
        delete_file(token)
    if blind := sum(answer["token"] != token.stem for answer in answers):
        raise ForetokenError(
            f"{blind} of {len(answers)} nodes of Ray do not see the study's folder {token.parent.parent.resolve()}",
            expected="one folder that all machines share, at the same path",
            cure="start foretoken in a folder that they share, or run Ray on this machine alone",
            code="folder_not_shared",
        )
    machines = [Machine.from_json(answer["machine"]) for answer in answers]
    return Machine(
        cores=min(machine.cores for machine in machines),
        memory_bytes=min(machine.memory_bytes for machine in machines),
        processor=" and ".join(sorted({machine.processor for machine in machines})),
        bfloat16=all(machine.bfloat16 for machine in machines),
        count=len(machines),
        gpus=int(max((node["Resources"].get("GPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)),
        gpu_memory_bytes=max((machine.gpu_memory_bytes or 0.0 for machine in machines), default=0.0) or None,
    )


class RayWorker(Worker):
    """An actor, listened to by a thread that waits for its messages."""

    def __init__(
        self, ray: ModuleType, check: Callable[[], None], gpus: float, threads: int, log: Path, inbox: Inbox
    ) -> None:
        super().__init__(threads, log, inbox)
        self.ray, self.check, self.gpus, self.has_place = ray, check, gpus, False
        self.death: Dead | None = None
        """How it ended, when it has."""
        environment = {"env_vars": thread_environment(threads)}
        make = ray.remote(JobActor).options(
            num_cpus=threads, num_gpus=gpus, max_restarts=0, max_concurrency=4, runtime_env=environment
        )
        self.actor = in_time(lambda: make.remote(os.getcwd(), str(log.resolve())))
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def dead(self) -> Dead | None:
        """How it has ended; None while it lives, or waits for a place."""
        return self.death

    def trouble(self, patience: Patience) -> str | None:
        """See `Worker.trouble`; one that waits for a place may do so for ever, as long as there are nodes."""
        if self.has_place:
            return super().trouble(patience)
        self.check()
        return None

    def waits_for(self) -> str | None:
        """The place that it needs."""
        if self.has_place:
            return None
        needs = f"{self.threads} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")
        return f"no actor of Ray has begun; each needs {needs} that nobody else uses (see `ray status`)"

    def send(self, message: Message) -> None:
        """Call the actor, and do not wait."""
        self.actor.receive.remote(to_line(message))

    def close(self) -> None:
        """Nothing: what it had to save it has saved when it is no longer needed."""

    def kill(self) -> None:
        """End its process."""
        with contextlib.suppress(self.ray.exceptions.RayError, ForetokenError):
            in_time(lambda: self.ray.kill(self.actor), Patience.ending)

    def end(self, patience: float) -> None:
        """End it; nothing is waited for."""
        if self.ray.is_initialized():
            self.kill()

    def _listen(self) -> None:
        errors = self.ray.exceptions
        try:
            while True:
                lines = self.ray.get(self.actor.poll.remote())
                self.has_place = True
                self._take(lines)
        except errors.RayActorError as error:
            self.death = _death(error)
        except errors.RayError as error:
            self.death = Dead(1, str(error).strip().split("\n")[-1])
        self.inbox.put((self, self.death))

    def _take(self, lines: list[bytes]) -> None:
        """Take the reply to a poll: a sign of life, whatever it holds."""
        self.hear(Beat())
        for line in lines:
            self.hear(from_line(line))


def _death(error: Exception) -> Dead:
    """How an actor has ended, from what Ray says of it."""
    text = str(error).strip()
    if "node died" in text or "node was terminated" in text or "preempted" in text:
        return Dead(1, "its node was lost", blameless=True)
    # Ray ends a long text with what was raised, if anything was while the actor was made.
    raised = text.split("\n")[-1] if "creation task" in text else "its process was killed or broke off"
    return Dead(1, raised)


class JobActor:
    """Does jobs in a thread of its own; its methods are called by the driver."""

    def __init__(self, folder: str, log: str) -> None:
        os.chdir(folder)  # the paths of a study may be relative to where its driver was started
        print_into(Path(log))
        self.tasks: Tasks = SimpleQueue()
        self.answers: SimpleQueue[Message] = SimpleQueue()
        self.stop = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def receive(self, line: bytes) -> None:
        """Take one message of the driver's."""
        match from_line(line):
            case Halt():
                self.stop.set()
            case Serve() | Assign() as task:
                self.tasks.put(task)

    def poll(self, seconds: float = POLL_SECONDS) -> list[bytes]:
        """What there is to say, as soon as there is anything; nothing after so many seconds."""
        lines = []
        try:
            lines.append(to_line(self.answers.get(timeout=seconds)))
            while True:
                lines.append(to_line(self.answers.get_nowait()))
        except Empty:
            return lines

    def _work(self) -> None:
        try:
            do_jobs(self.tasks, self.answers.put, self.stop.is_set)
        except BaseException:
            # What is to be served cannot be imported: as anywhere else, the process ends, and its log says why.
            traceback.print_exc()
            os._exit(1)


def machine_facts(token: str) -> JsonObject:
    """The machine on which this is called, and what the file at `token` holds there; nothing where there is none."""
    path = Path(token)
    return {"machine": asdict(this_machine()), "token": path.read_text() if path.is_file() else ""}
