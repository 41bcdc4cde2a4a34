"""A batch on Ray: an actor for each GPU or share of one, one job in hand each, lost ones tried elsewhere."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError, MaskGridError, MissingExtraError, in_one_line
from maskgrid.jobs.worker import Outcome, Worker, failed_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskgrid.jobs.job import Job
    from maskgrid.jobs.place import Place
    from maskgrid.jobs.stop_softly import SoftStop

__all__ = ["RayOptions", "run_on_ray", "start_ray"]

_TURN = 0.5
"""Seconds after which a wait for outcomes looks whether to stop."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Where and with how many workers Ray runs a batch.

    Attributes:
        address: Of a Ray that runs, such as "auto" or "host:6379"; None starts one on this machine,
            or takes the one that this process is connected to.
        workers: How many; None for as many as there is room for.
        gpus: GPUs of each, such as 0.5 for two that share one; None for 1 where Ray has any, else 0.
        cpus: Cores of each.
        tries: How often a job that its worker dies with is tried before it counts as failed.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    cpus: float = 1
    tries: int = 3

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("gpus", 0), ("cpus", 0), ("tries", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not value >= least):
                raise InvalidValueError(f"{name} is {value!r}; allowed: {least} or more")


@contextlib.contextmanager
def start_ray(options: RayOptions, place: Place) -> Iterator[None]:
    """Have this process connected to Ray; one that was started here ends with the block.

    Args:
        options: See `RayOptions`.
        place: Where jobs are to be saved.

    Raises:
        InvalidValueError: A place that lies in the memory of this process.
        MissingExtraError: Ray is not installed.
        MaskGridError: It can't be started or reached.
    """
    if place.url.startswith("memory:"):
        raise InvalidValueError(
            f"the place is {place.url!r}, which other processes don't see; allowed with Ray: a folder that "
            "all workers reach, or an object store"
        )
    ray = _import_ray()
    if ray.is_initialized():
        yield
        return
    own = {"include_dashboard": False} if options.address is None else {}
    with _own_handlers():
        try:
            ray.init(address=options.address or "local", log_to_driver=False, logging_level="ERROR", **own)
        # Ray raises nearly anything where it can't be reached.
        except Exception as error:
            raise MaskGridError(f"Ray can't be started or reached ({in_one_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def run_on_ray(jobs: Sequence[Job], place: Place, stop: SoftStop, options: RayOptions) -> Iterator[Outcome]:
    """Do jobs on Ray until they are done or a stop is asked for.

    The driver reads the files of a job when a worker is free for it and sends them along, so that workers
    need no disk in common with it, and that there are never more sheets on their way than workers.

    Args:
        jobs: The jobs.
        place: Where they are saved; every worker has to reach it.
        stop: Whether to stop after what is in hand.
        options: See `RayOptions`.

    Yields:
        What became of each.

    Raises:
        MaskGridError: A model can't be loaded, a folder can't be written, or workers can't be started.
    """
    pool = _Pool(_import_ray(), jobs[0], place.url, options)
    queue = _Queue(jobs)
    try:
        while True:
            while pool.idle and not stop.is_asked() and (entry := queue.take()):
                try:
                    pool.give(*entry)
                except MaskGridError as error:
                    yield failed_by(entry[0], error)
            is_over = stop.is_asked() or queue.is_empty()
            if not pool.is_busy() and is_over:
                return
            for job, tries, outcome in pool.wait():
                if outcome is not None:
                    yield replace(outcome, tries=tries)
                elif tries < options.tries:
                    queue.put_back(job, tries)
                else:
                    yield Outcome(job, "WorkerDied", f"its worker died with it, {tries} times", tries)
    finally:
        pool.close()


class _RayWorker:
    """What an actor of Ray does."""

    def __init__(self, place: str) -> None:
        self._worker = Worker(place)

    def load(self, job: Job) -> None:
        """Load the model of a job before the first one is sent."""
        self._worker.load(job)

    def run(self, job: Job, files: dict[str, bytes]) -> Outcome:
        """Do a job."""
        return self._worker.run(job, files)


class _Queue:
    """Jobs that wait, first those that lost a worker.

    Args:
        jobs: The jobs.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs, self._next = jobs, 0
        self._again: deque[tuple[Job, int]] = deque()

    def take(self) -> tuple[Job, int] | None:
        """A job and how often it was tried; None where there is none."""
        if self._again:
            return self._again.popleft()
        if self._next == len(self._jobs):
            return None
        self._next += 1
        return self._jobs[self._next - 1], 0

    def put_back(self, job: Job, tries: int) -> None:
        """Have a job tried again."""
        self._again.append((job, tries))

    def is_empty(self) -> bool:
        """Whether none waits."""
        return not self._again and self._next == len(self._jobs)


class _Pool:
    """Actors: those that start, those that are idle, and those with a job in hand.

    Args:
        ray: The module.
        first: A job whose model each loads before it gets its first one.
        place: The URL of the place.
        options: How many and how large.
    """

    def __init__(self, ray: Any, first: Job, place: str, options: RayOptions) -> None:
        self._ray, self._first, self._place = ray, first, place
        count, gpus = _count_workers(ray, options)
        # A task that is sent once more by Ray itself could be done twice.
        self._actor = ray.remote(_RayWorker).options(
            num_gpus=gpus, num_cpus=options.cpus, max_restarts=0, max_task_retries=0
        )
        self.idle: deque[Any] = deque()
        self._starting: dict[Any, Any] = {}
        self._in_hand: dict[Any, tuple[Any, Job, int]] = {}
        self._patience = self._lost_starts = 3 * count
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        actor = self._actor.remote(self._place)
        self._starting[actor.load.remote(self._first)] = actor

    def is_busy(self) -> bool:
        """Whether a job is in hand."""
        return bool(self._in_hand)

    def give(self, job: Job, tries: int) -> None:
        """Send a job to an idle worker.

        Raises:
            MaskGridError: One of its files can't be read any more.
        """
        files = job.read_files()
        actor = self.idle.popleft()
        self._in_hand[actor.run.remote(job, files)] = actor, job, tries + 1

    def wait(self) -> list[tuple[Job, int, Outcome | None]]:
        """What was finished meanwhile: the job, how often it was tried, and its outcome; None if lost.

        Raises:
            MaskGridError: No worker can be started.
            Exception: What a worker raised that is no job's fault.
        """
        refs = [*self._starting, *self._in_hand]
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(refs, num_returns=1, timeout=_TURN)
        finished = []
        for ref in ready:
            if ref in self._starting:
                self._started(ref)
            else:
                finished.append(self._finished(ref))
        return finished

    def _started(self, ref: Any) -> None:
        actor = self._starting.pop(ref)
        try:
            self._get(ref)
        except _LostWorkerError as error:
            self._lost_starts -= 1
            if self._lost_starts <= 0:
                raise MaskGridError(f"workers of Ray die before they get a job ({error})") from error
            self._start()
        else:
            self._lost_starts = self._patience
            self.idle.append(actor)

    def _finished(self, ref: Any) -> tuple[Job, int, Outcome | None]:
        actor, job, tries = self._in_hand.pop(ref)
        try:
            outcome: Outcome = self._get(ref)
        except _LostWorkerError:
            # It may be out of reach and alive.
            self._ray.kill(actor)
            self._start()
            return job, tries, None
        self.idle.append(actor)
        return job, tries, outcome

    def _get(self, ref: Any) -> Any:
        """What a call returned.

        Raises:
            _LostWorkerError: The worker died, or is out of reach.
            Exception: What the call itself raised.
        """
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise _LostWorkerError(in_one_line(error)) from error

    def close(self) -> None:
        """End all workers."""
        busy = [actor for actor, _, _ in self._in_hand.values()]
        for actor in (*self.idle, *self._starting.values(), *busy):
            self._ray.kill(actor)


class _LostWorkerError(Exception):
    """A worker died, or can't be reached any more."""


def _count_workers(ray: Any, options: RayOptions) -> tuple[int, float]:
    """How many workers there are to be, and the GPUs of each."""
    room = ray.cluster_resources()
    gpus = (1.0 if room.get("GPU") else 0.0) if options.gpus is None else options.gpus
    wanted = [(room.get(kind, 0), share) for kind, share in (("GPU", gpus), ("CPU", options.cpus)) if share]
    most = int(min((has / share + 1e-6 for has, share in wanted), default=1))
    if options.address is None and most < 1:
        has = f"{room.get('GPU', 0):g} GPUs and {room.get('CPU', 0):g} cores"
        raise InvalidValueError(
            f"a worker with {gpus:g} GPUs and {options.cpus:g} cores has no room; allowed: at most {has}"
        )
    return options.workers or max(most, 1), gpus


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            f'Ray is not installed ({error}); install it with: pip install "maskgrid[ray]"'
        ) from error
    return ray


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep this program's handlers of signals, in whose place Ray puts its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
