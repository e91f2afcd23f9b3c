"""Keeps programs running: starts them, restarts what dies, passes on what they say, stops in order.

One thread, one loop: it sleeps until a program says something, a program ends, or a signal comes.
Each program leads a session of its own, so whatever it started can be ended with it.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from krakapp.embedded import CannotStart

LOG_BYTES = 5_000_000
STEADY_S = 10  # a program that ran this long starts afresh in the counting of its failures
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10
LOOK_S = 0.1


class StopAsked(Exception):
    """Somebody pressed Ctrl-C or sent a signal."""


@dataclass(frozen=True)
class Program:
    """Something to keep running. Those with a lower `phase` are stopped first, and waited for."""

    name: str
    argv: list[str]
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = Path("/")
    phase: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 10
    expendable: bool = True  # whether a later supervisor may simply kill what it finds of it
    prepare: Callable[[], None] = lambda: None  # runs before every start


class Child:
    """A program as it runs: its process, its log and its luck so far."""

    def __init__(self, program: Program, log: Path) -> None:
        """Begin a new log, and keep the last run's beside it."""
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at = 0.0  # when it is due, if it does not run
        self.failures = 0
        self._log_path = log / f"{program.name}.log"
        self._unfinished = b""
        self._open_log()

    def _open_log(self) -> None:
        if self._log_path.exists():
            self._log_path.replace(f"{self._log_path}.1")
        self._log = self._log_path.open("wb", buffering=0)

    def say(self, said: bytes) -> None:
        """Pass on whole lines: to the log as they are, to the terminal with a name in front."""
        *lines, self._unfinished = (self._unfinished + said).split(b"\n")
        name = f"{self.program.name:<9} | ".encode()
        with suppress(OSError):  # nobody reads the terminal any more; the log is enough
            sys.stdout.buffer.write(b"".join(name + line + b"\n" for line in lines))
            sys.stdout.buffer.flush()
        with suppress(OSError):  # the disk is full: what was said is lost, what runs is not
            self._write_log(b"".join(line + b"\n" for line in lines))

    def _write_log(self, lines: bytes) -> None:
        """Write whole lines, and begin anew where the log is long.

        :raises OSError: if there is no room
        """
        if self._log.tell() > LOG_BYTES:
            long = self._log
            self._open_log()
            long.close()
        self._log.write(lines)

    def start(self) -> None:
        """Start the process.

        :raises CannotStart: if its preparation finds that it cannot
        :raises OSError: if there is no such program
        """
        self.program.prepare()
        self.process = subprocess.Popen(  # noqa: S603
            self.program.argv,
            env=dict(self.program.env),
            cwd=self.program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started_at = time.monotonic()

    def has_ended(self) -> bool:
        """Say whether the main process is over; it stays unreaped, so its number stays taken."""
        if self.process is None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None

    def bury(self) -> int:
        """End whatever is left of the session, and give the main process' exit code."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        return code

    def close(self) -> None:
        """Close the log; nothing is said after that."""
        self._log.close()

    def postpone(self) -> float:
        """Decide when to start again, later each time it fails soon; give the delay in seconds."""
        ran_s = time.monotonic() - self.started_at
        self.failures = 0 if ran_s > STEADY_S else self.failures + 1
        delay_s = min(FIRST_DELAY_S * 2.0**self.failures, LONGEST_DELAY_S)
        self.start_at = time.monotonic() + delay_s
        return delay_s


class Supervisor:
    """Use it as a context: leaving it, however that happens, stops every program in order."""

    def __init__(self, *, run: Path, log: Path) -> None:
        """Remember where to write the pids (`run`) and the logs."""
        self.run_folder, self.log_folder = run, log
        self.children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._asked: int | None = None

    def __enter__(self) -> Self:
        """Take over the signals, and end what an earlier supervisor could not."""
        self.log_folder.mkdir(parents=True, exist_ok=True)
        end_leftovers(self.run_folder)
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._selector.register(self._pipe[0], selectors.EVENT_READ)
        self._handlers = {
            number: signal.signal(number, self._ask)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop phase by phase: whoever serves customers first, the servers last."""
        for phase in sorted({child.program.phase for child in self.children.values()}):
            self._stop([c for c in self.children.values() if c.program.phase == phase])
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for end in self._pipe:
            os.close(end)
        for key in self._selector.get_map().values():
            if key.data is not None:
                key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _ask(self, number: int, _frame: object) -> None:
        self._asked = number

    def start(self, program: Program) -> None:
        """Start a program, and start it again whenever it ends.

        :raises CannotStart: if it cannot be started even once
        """
        child = self.children[program.name] = Child(program, self.log_folder)
        self._start(child)

    def run(self, program: Program) -> int:
        """Run a program once, to its end, and give its exit code."""
        child = Child(program, self.log_folder)
        self._start(child)
        try:
            self.tend(until=child.has_ended)
        finally:
            code = self._let_go(child)
        return code

    def tend(self, *, until: Callable[[], bool] | None = None, seconds: float = 0) -> bool:
        """Look after the programs until something is true, or for so long; for ever by default.

        :returns: whether it came true in time
        :raises StopAsked: as soon as a signal asks to stop
        """
        deadline = time.monotonic() + seconds if seconds else None
        look_at = time.monotonic()
        while True:
            if self._asked is not None:
                raise StopAsked(signal.Signals(self._asked).name)
            now = time.monotonic()
            if until is not None and now >= look_at:
                if until():
                    return True
                look_at = time.monotonic() + LOOK_S
            if deadline and now > deadline:
                return False
            self._restart_the_dead()
            self._listen(seconds=self._nap([look_at] if until else [deadline] if deadline else []))

    def _nap(self, appointments: list[float]) -> float | None:
        """Give the seconds until the first appointment or restart; none if there is neither."""
        due = [child.start_at for child in self.children.values() if child.process is None]
        times = [*appointments, *due]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _restart_the_dead(self) -> None:
        for child in self.children.values():
            if child.process and child.has_ended():
                code = child.bury()
                delay_s = child.postpone()
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                child.say(f"[ended by {how}; starting again in {delay_s:.1f} s]\n".encode())
            if child.process is None and child.start_at <= time.monotonic():
                try:
                    self._start(child)
                except (CannotStart, OSError) as error:
                    child.say(f"[cannot start: {error}]\n".encode())
                    child.postpone()

    def _start(self, child: Child) -> None:
        child.start()
        assert child.process
        assert child.process.stdout
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        if child.program.expendable:
            try:
                record(self.run_folder, child.program.name, child.process.pid)
            except OSError as error:  # a full disk stops nobody
                child.say(f"[runs unrecorded: {error}]\n".encode())

    def _listen(self, *, seconds: float | None) -> int:
        """Pass on what programs say, once something happened or `seconds` have passed.

        :returns: how much happened
        """
        events = self._selector.select(seconds)
        for key, _ in events:
            said = os.read(key.fd, 65536)
            if key.data is None:
                continue  # a signal woke us
            if said:
                key.data.say(said)
            else:
                self._selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        return len(events)

    def _stop(self, children: list[Child]) -> None:
        """Ask each to end, wait as long as its patience lasts, then insist."""
        for child in children:
            if child.process:
                with suppress(ProcessLookupError):
                    child.process.send_signal(child.program.stop_signal)
        for child in children:
            deadline = time.monotonic() + child.program.patience_s
            while not child.has_ended() and time.monotonic() < deadline:
                self._listen(seconds=0.05)
            self._let_go(child)

    def _let_go(self, child: Child) -> int:
        """Bury it, hear its last words, and give its exit code."""
        code = child.bury()
        while self._listen(seconds=0):
            pass
        child.close()
        forget(self.run_folder, child.program.name)
        return code


def record(run: Path, name: str, pid: int) -> None:
    """Write down which process a program is, so that a later supervisor knows it again."""
    (run / f"{name}.pid").write_text(f"{pid} {_boot()} {_born(pid)}\n")


def forget(run: Path, name: str) -> None:
    """Strike out a program that was stopped."""
    (run / f"{name}.pid").unlink(missing_ok=True)


def end_leftovers(run: Path) -> None:
    """End what an earlier supervisor started, was killed, and could not stop.

    A recorded number may belong to somebody else by now: then its process was born at another
    time. Where the leader is gone, its number stays taken for as long as its session has members.
    """
    for path in run.glob("*.pid"):
        pid, _, rest = path.read_text().strip().partition(" ")
        boot, _, born = rest.partition(" ")
        if pid.isdigit() and boot == _boot() and _born(int(pid)) in {born, ""}:
            for member in _session(int(pid)):
                with suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
        path.unlink()


def _boot() -> str:
    """Name the machine's present life; "-" where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"


def _born(pid: int) -> str:
    """Give the tick at which a process started, or nothing if it is gone."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _session(leader: int) -> list[int]:
    """List the processes of a session."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (fields := _stat(pid)) and fields[3] == str(leader)]


def _stat(pid: int) -> list[str]:
    """Read /proc/<pid>/stat from the state on: state, parent, group, session …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
