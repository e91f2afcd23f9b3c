import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from krakapp import supervisor as module
from krakapp.embedded import CannotStart
from krakapp.supervisor import Program, StopAsked, Supervisor, end_leftovers, record

PATIENCE_S = 20


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def supervisor(folder):
    with Supervisor(run=folder / "run", log=folder / "log") as supervisor:
        yield supervisor


@pytest.fixture
def full_disk():
    """Let the kernel refuse to make any file of this process larger, as a full disk would."""

    @contextmanager
    def full():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full


def shell(name, script, **how):
    return Program(name=name, argv=["sh", "-c", script], **how)


def pid_of(supervisor, name):
    path = supervisor.run_folder / f"{name}.pid"
    return int(path.read_text().split()[0])


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(supervisor, condition):
    assert supervisor.tend(until=condition, seconds=PATIENCE_S)


class TestKeepingRunning:
    def test_starts_again_what_was_killed(self, supervisor):
        supervisor.start(shell("sleeper", "exec sleep 1000"))
        first = pid_of(supervisor, "sleeper")
        os.kill(first, signal.SIGKILL)
        wait_for(supervisor, lambda: pid_of(supervisor, "sleeper") != first)
        assert lives(pid_of(supervisor, "sleeper"))

    def test_ends_the_children_of_a_killed_program_before_starting_it_again(
        self, supervisor, folder
    ):
        script = f"sleep 1000 & echo $! >> {folder}/children; wait"
        supervisor.start(shell("parent", script))
        wait_for(supervisor, (folder / "children").exists)
        os.kill(pid_of(supervisor, "parent"), signal.SIGKILL)
        wait_for(supervisor, lambda: len((folder / "children").read_text().split()) == 2)
        first, second = map(int, (folder / "children").read_text().split())
        assert not lives(first)
        assert lives(second)

    def test_waits_longer_after_each_failure(self, supervisor):
        supervisor.start(shell("failing", "exit 3"))
        child = supervisor.children["failing"]
        wait_for(supervisor, lambda: child.failures == 3)
        assert child.start_at - time.monotonic() > 1

    def test_reports_a_program_that_does_not_exist(self, supervisor):
        with pytest.raises(FileNotFoundError):
            supervisor.start(Program(name="nothing", argv=["/no/such/program"]))

    def test_goes_on_where_the_disk_is_full(self, supervisor, full_disk):
        supervisor.start(shell("talker", "echo hello; exec sleep 1000"))
        child = supervisor.children["talker"]
        first = child.process.pid
        with full_disk():
            os.kill(first, signal.SIGKILL)
            wait_for(supervisor, lambda: child.process and child.process.pid != first)
            second = child.process.pid
            os.kill(second, signal.SIGKILL)
            wait_for(supervisor, lambda: child.process and child.process.pid != second)
        assert lives(child.process.pid)

    def test_prepares_before_every_start_and_tries_again_if_that_fails(self, supervisor):
        prepared = []

        def prepare():
            prepared.append(time.monotonic())
            if len(prepared) == 2:
                raise CannotStart("not now")

        supervisor.start(shell("fussy", "exec sleep 1000", prepare=prepare))
        os.kill(pid_of(supervisor, "fussy"), signal.SIGKILL)
        wait_for(supervisor, lambda: len(prepared) == 3)


class TestRunningOnce:
    def test_gives_the_exit_code(self, supervisor):
        assert supervisor.run(shell("once", "exit 7")) == 7

    def test_keeps_what_was_said(self, supervisor, capfdbinary):
        supervisor.run(shell("once", "echo well; echo done >&2"))
        assert (supervisor.log_folder / "once.log").read_text() == "well\ndone\n"
        assert b"once      | well\n" in capfdbinary.readouterr().out


class TestStopping:
    def test_happens_when_a_signal_asks(self, supervisor):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopAsked):
            supervisor.tend(seconds=PATIENCE_S)

    def test_goes_phase_by_phase(self, folder):
        with Supervisor(run=folder / "run", log=folder / "log") as supervisor:
            for name, phase in (("data", 2), ("worker", 1), ("front", 0)):
                trap = f"trap 'echo {name} >> {folder}/order; exit' TERM; touch {folder}/{name}"
                loop = "while :; do sleep 0.02; done"
                supervisor.start(shell(name, f"{trap}; {loop}", phase=phase))
                wait_for(supervisor, (folder / name).exists)
        assert (folder / "order").read_text().split() == ["front", "worker", "data"]

    def test_insists_where_asking_does_not_help(self, folder):
        with Supervisor(run=folder / "run", log=folder / "log") as supervisor:
            script = f"trap '' TERM; touch {folder}/deaf; while :; do sleep 0.02; done"
            supervisor.start(shell("deaf", script, patience_s=0.3))
            wait_for(supervisor, (folder / "deaf").exists)
            pid = pid_of(supervisor, "deaf")
        assert not lives(pid)

    def test_leaves_no_pid_behind(self, folder):
        with Supervisor(run=folder / "run", log=folder / "log") as supervisor:
            supervisor.start(shell("sleeper", "exec sleep 1000"))
            supervisor.run(shell("once", "true"))
        assert list((folder / "run").iterdir()) == []


class TestLogs:
    def test_are_bounded(self, supervisor, monkeypatch):
        monkeypatch.setattr(module, "LOG_BYTES", 10_000)
        supervisor.run(
            shell("talker", f"{sys.executable} -c \"print('x' * 99 + '\\n', end='') ;\"")
        )
        supervisor.run(
            Program(
                name="talker", argv=[sys.executable, "-c", "for _ in range(999): print('x'*99)"]
            )
        )
        sizes = [path.stat().st_size for path in supervisor.log_folder.glob("talker.log*")]
        assert len(sizes) == 2
        assert max(sizes) < 10_000 + 65_536

    def test_of_the_last_run_are_kept(self, folder):
        for said in ("first", "second"):
            with Supervisor(run=folder / "run", log=folder / "log") as supervisor:
                supervisor.run(shell("once", f"echo {said}"))
        assert (folder / "log/once.log").read_text() == "second\n"
        assert (folder / "log/once.log.1").read_text() == "first\n"


class TestLeftovers:
    @pytest.fixture
    def orphan(self):
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        yield process
        process.kill()
        process.wait()

    def test_are_ended(self, folder, orphan):
        record(folder / "run", "orphan", orphan.pid)
        end_leftovers(folder / "run")
        assert orphan.wait(PATIENCE_S) == -signal.SIGKILL

    def test_are_ended_where_their_leader_is_gone(self, folder):
        script = f"sleep 1000 & echo $! > {folder}/child; exec sleep 1000"
        leader = subprocess.Popen(["sh", "-c", script], start_new_session=True)
        while not (folder / "child").exists() or not (folder / "child").read_text().endswith("\n"):
            time.sleep(0.01)
        child = int((folder / "child").read_text())
        record(folder / "run", "leader", leader.pid)
        leader.kill()
        leader.wait()
        assert lives(child)
        end_leftovers(folder / "run")
        deadline = time.monotonic() + PATIENCE_S
        while lives(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not lives(child)

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param("{pid} {boot} 1", id="born at another time"),
            pytest.param("{pid} another-boot {born}", id="before the power cut"),
            pytest.param("", id="cut short"),
            pytest.param("no number", id="not ours"),
        ],
    )
    def test_are_left_alone_where_the_number_is_somebody_elses(self, folder, orphan, written):
        facts = {"pid": orphan.pid, "boot": module._boot(), "born": module._born(orphan.pid)}
        (folder / "run/other.pid").write_text(written.format(**facts))
        end_leftovers(folder / "run")
        assert orphan.poll() is None
        assert not (folder / "run/other.pid").exists()
