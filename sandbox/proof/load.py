"""A steady stream of requests, authorised and not, while something is taken away or replaced; every outcome with its time.

Each stream is a process that sends a request, waits for its answer, and sends the next one when its time has come; after half a
minute another one takes over. Times are seconds of this machine's clock since 1970.
"""

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sandbox.proof.world import Answer, Pod, ProofError, World

_TURN_SECONDS: Final = 30.0
"""How long one process sends; the next one asks for a token anew, which lives longer than that."""
_PATIENCE: Final = "5s"
"""Longer than the mesh waits for anybody; a request that takes it has failed."""
_STEADY_SECONDS: Final = 30.0
_TICK: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One request, sent again and again."""

    name: str
    authorised: bool
    pod: Pod | None
    """Whose namespaces it is sent from; None for somebody outside the clusters."""
    url: str
    callees: frozenset[str]
    """SPIFFE IDs of the service that it is for, in every region: who answers is told by his identity."""
    flags: tuple[str, ...] = ()
    """Those of `app call`."""
    token: Callable[[], str] | None = None
    """Gives the access token that it shows."""
    user: int | None = None
    """Whose process it is; that of the pod's container unless said."""
    every: float = 0.5
    """Seconds from one request to the next."""
    refused_by: str = ""
    """The layer that must refuse it; empty for an authorised one."""
    passes: tuple[Pod, ...] = ()
    """Whose proxies it may come to when it is to be refused, the callee's first and the caller's own last."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one request of a stream."""

    stream: str
    authorised: bool
    began: float
    ended: float
    answer: Answer
    reached: bool
    """Whether the service itself answered, with whatever status."""

    @property
    def answered(self) -> bool:
        """An authorised one: by the service itself, with success. Any other: by the service with any status, or with success."""
        success = self.answer.is_allowed
        return self.reached and success if self.authorised else self.reached or success


class Load:
    """The streams, for as long as the context lasts; outcomes may be read meanwhile and after.

    Args:
        world: the running sandbox.
        streams: names are unique.
        steady_seconds: after how long at most they must be steady: each authorised one answered, each other refused.

    Raises:
        ProofError: on entering, when they are not steady in time.
    """

    def __init__(self, world: World, streams: Sequence[Stream], *, steady_seconds: float = _STEADY_SECONDS) -> None:
        self.streams = tuple(streams)
        self._world = world
        self._steady_seconds = steady_seconds
        self._outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []
        self._troubles: dict[str, str] = {}
        self._over = threading.Event()

    def __enter__(self) -> Self:
        try:
            for stream in self.streams:
                thread = threading.Thread(target=self._send, args=(stream,), daemon=True)
                thread.start()
                self._threads.append(thread)
            self.wait_unbroken(time.time(), row=2, seconds=self._steady_seconds)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def outcomes(self, since: float = 0.0) -> tuple[Outcome, ...]:
        """What is known of requests that began at or after `since`, in the order of their ends."""
        with self._lock:
            return tuple(one for one in self._outcomes if one.began >= since)

    def asked(self, since: float, until: float) -> bool:
        """Whether of every stream a request is known that was sent between these moments (`meanwhile`)."""
        return {one.stream for one in meanwhile(self.outcomes(), since, until)} == {one.name for one in self.streams}

    def wait_unbroken(self, since: float, *, row: int, seconds: float) -> None:
        """Returns when the last requests of every stream, as many as `row`, came out as they must and began after `since`.

        Raises:
            ProofError: not within these seconds; with what the stream's last answer was.
        """
        deadline = time.monotonic() + seconds
        while waiting := [one for one in self.streams if not _is_unbroken(self.outcomes(since), one, row)]:
            if time.monotonic() > deadline:
                msg = f"not steady within {seconds:.0f} s: " + "; ".join(self._last_words(one) for one in waiting)
                raise ProofError(msg)
            time.sleep(_TICK)

    def _last_words(self, stream: Stream) -> str:
        said = [one for one in self.outcomes() if one.stream == stream.name]
        words = f"{stream.name}: {said[-1].answer}" if said else f"{stream.name} was never answered"
        return f"{words} ({self._troubles[stream.name]})" if stream.name in self._troubles else words

    def _send(self, stream: Stream) -> None:
        shown = self._shown(stream)
        while not self._over.is_set():
            before = time.monotonic()
            process = self._start(stream, shown)
            if process is None:
                return
            with process:
                self._read(stream, process.stdout or ())
            # one that could not enter its pod ends at once: the pod is gone, and so are its answers
            self._over.wait(max(0.0, stream.every - (time.monotonic() - before)))
            shown = self._shown(stream, shown)

    def _shown(self, stream: Stream, before: Sequence[str] = ()) -> Sequence[str]:
        """What shows the stream's token; that of the turn before where no new one is given."""
        if stream.token is None:
            return ()
        try:
            return (f"-header=Authorization: Bearer {stream.token()}",)
        except ProofError as error:
            self._troubles[stream.name] = str(error)
            return before

    def _start(self, stream: Stream, shown: Sequence[str]) -> subprocess.Popen[str] | None:
        program = os.open(self._world.app, os.O_RDONLY)
        count = max(1, round(_TURN_SECONDS / stream.every))
        command = [f"/proc/self/fd/{program}", "call", f"-count={count}", f"-every={stream.every}s", f"-timeout={_PATIENCE}"]
        before: list[str] = []
        environment: Mapping[str, str] = os.environ
        try:
            if stream.pod is not None:
                before, environment = self._world.entering(stream.pod, user=stream.user)
            with self._lock:
                if self._over.is_set():
                    return None
                # a session of its own: the process in the pod is a child of the one that entered it, and both must end
                begun = subprocess.Popen(
                    [*before, *command, *shown, *stream.flags, stream.url],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                    pass_fds=(program,),
                )
                self._running[stream.name] = begun
                return begun
        except FileNotFoundError:
            self._troubles[stream.name] = "its pod is there no more"
            return None
        finally:
            os.close(program)

    def _read(self, stream: Stream, said: Iterable[str]) -> None:
        for line in said:
            try:
                outcome = outcome_of(stream, line)
            except (ValueError, TypeError, KeyError):
                continue  # the end of a process in the middle of a line
            with self._lock:
                self._outcomes.append(outcome)

    def _end(self) -> None:
        with self._lock:
            self._over.set()
            for process in self._running.values():
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join()


def outcome_of(stream: Stream, line: str) -> Outcome:
    """What a line of `app call` says.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    answer = Answer(**json.loads(line))
    began = dt.datetime.fromisoformat(answer.at).timestamp()
    return Outcome(
        stream=stream.name,
        authorised=stream.authorised,
        began=began,
        ended=began + answer.seconds,
        answer=answer,
        reached=_identity(answer) in stream.callees,
    )


def _identity(answer: Answer) -> str:
    """Who says in the body that he answers; empty when nobody does."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    return str(said.get("identity", "")) if isinstance(said, dict) else ""


def meanwhile(outcomes: Iterable[Outcome], since: float, until: float) -> list[Outcome]:
    """Those that began between two moments, or waited from before the first until after the second."""
    return [one for one in outcomes if since <= one.began <= until or one.began < since <= until < one.ended]


def recovered(outcomes: Iterable[Outcome], returned: float) -> float | None:
    """Seconds from `returned` to the first of an unbroken row of authorised answers that lasts to the end of the load.

    Streams are looked at one by one and the slowest counts. None when an authorised stream has no answer at its end; 0 when none
    of them failed after that moment.
    """
    slowest = 0.0
    by_stream: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if one.authorised:
            by_stream.setdefault(one.stream, []).append(one)
    for found in by_stream.values():
        last_failure = max((one.ended for one in found if not one.answered), default=None)
        if last_failure is None or last_failure <= returned:
            continue
        after = [one.ended for one in found if one.answered and one.ended > last_failure]
        if not after:
            return None
        slowest = max(slowest, min(after) - returned)
    return slowest


def _is_unbroken(outcomes: Iterable[Outcome], stream: Stream, row: int) -> bool:
    last = [one for one in outcomes if one.stream == stream.name][-row:]
    return len(last) == row and all(one.answered == stream.authorised for one in last)
