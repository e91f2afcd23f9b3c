"""The journeys' world: the whole platform as `make run` starts it, and a browser beside it."""

import email
import email.policy
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from krakapp import embedded, supervisor
from tests import chromium
from tests.journeys import disk

ROOT = Path(__file__).resolve().parents[2]
START_S = 300
STOP_S = 60
PAGE_MS = 12_000


class Platform:
    """One running copy of the platform, in demo mode, on a home and a port of its own."""

    def __init__(self, home: Path) -> None:
        """Choose a free port; `start` does the rest."""
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.disk: disk.SmallDisk | disk.Limit
        self.base_url = f"http://127.0.0.1:{self.port}"
        servers = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY")
        self.env = {name: value for name, value in os.environ.items() if name not in servers}
        self.env |= {
            "KRAKAPP_DEMO": "1",
            "KRAKAPP_HOME": str(home),
            "PORT": str(self.port),
            "ACCOUNT_RATE_LIMITS": "0",
            "RATE_LIMITS": "0",
            "SIMULATED_CUSTOMERS": "0",  # a journey that wants them makes them
            # A machine that is busy with other tests is slow, and hangs no more than any other.
            "WAIT_S": "20",
            "SILENCE_S": "60",
        }

    def start(self) -> None:
        """Start it, and wait until every part is well."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        self.wait_until_well(seconds=START_S)

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(STOP_S) == 0

    def is_well(self) -> bool:
        """Ask /healthz."""
        try:
            with urlopen(f"{self.base_url}/healthz", timeout=10) as answer:
                return answer.status == 200
        except HTTPError as answer:
            answer.close()
            return False
        except (URLError, OSError):
            return False

    def health(self) -> dict[str, str]:
        """Ask /healthz how each part is."""
        try:
            with urlopen(f"{self.base_url}/healthz", timeout=20) as answer:
                return dict(json.load(answer))
        except HTTPError as answer:
            with answer:
                return dict(json.load(answer))

    def wait_until_well(self, *, seconds: float = 60) -> None:
        """Wait for /healthz, as long as the supervisor lives."""
        self.wait_for(self.is_well, seconds=seconds)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 60) -> None:
        """Look often until something is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            tail = (self.home / "up.log").read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, f"the platform ended:\n{tail}"
            assert time.monotonic() < deadline, f"waited {seconds} s in vain:\n{tail}"
            time.sleep(0.1)

    def pid(self, name: str) -> int | None:
        """Give the process that runs as this name of the Procfile now, None between two."""
        record = "postgres/postmaster.pid" if name == "postgres" else f"run/{name}.pid"
        try:
            return int((self.home / record).read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def kill(self, name: str) -> None:
        """Kill one process as a crash would, and wait until another has taken its place."""
        killed = self.pid(name)
        assert killed
        os.kill(killed, signal.SIGKILL)
        self.wait_for(lambda: self.pid(name) not in {killed, None})

    def hit(self, pid: int) -> None:
        """Kill a process, if it is not gone already, and wait for nothing."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def members(self, name: str) -> list[int]:
        """List a process and all that it started; none where it is just being started again."""
        leader = self.pid(name)
        return supervisor._session(leader) if leader else []

    def processes(self) -> list[int]:
        """List the supervisor and everybody below it."""
        leaders = [pid for pid in everybody() if parent(pid) == self.process.pid]
        members = [member for leader in leaders for member in supervisor._session(leader)]
        return [self.process.pid, *members]

    def lose_power(self) -> None:
        """Kill everything at once, the supervisor included, before it can start anything again."""
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in reversed(self.processes()):
            self.hit(pid)
        self.process.wait()

    @contextmanager
    def without_valkey(self) -> Iterator[None]:
        """Keep Valkey away while the block runs: something else lies where its socket belongs."""
        place = self.home / "run/valkey.sock"
        os.kill(self.process.pid, signal.SIGSTOP)
        self.hit(self.pid("valkey") or 0)
        place.unlink(missing_ok=True)
        place.mkdir()
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            place.rmdir()

    def manage(self, *args: str) -> str:
        """Run a management command beside the platform, and give what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{args} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def database(self) -> dict[str, str]:
        """Where its PostgreSQL is found, as the owner."""
        place = {"HOST": str(self.home / "run"), "PORT": "", "NAME": "krakapp"}
        password = (self.home / "secrets/database_owner").read_text()
        return {**place, "USER": embedded.OWNER, "PASSWORD": password}

    def mail_to(self, address: str) -> list[str]:
        """Give the bodies of all demo mail to somebody, oldest first."""
        found = []
        for path in sorted((self.home / "mail").glob("*.log"), key=lambda p: p.stat().st_mtime):
            for part in path.read_bytes().split(b"-" * 79 + b"\n"):
                message = email.message_from_bytes(part, policy=email.policy.default)
                if address in str(message.get("To", "")):
                    body = message.get_body(("plain",))
                    found.append(body.get_content() if body else "")
        return found


def everybody() -> list[int]:
    """List all processes of the machine."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def parent(pid: int) -> int:
    """Give who started a process; 0 if it is gone."""
    return int((supervisor._stat(pid) or [0, 0])[1])


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Run one platform for all journeys."""
    platform = Platform(tmp_path_factory.mktemp("journeys") / "home")
    with disk.for_home(platform.home, platform.processes) as platform.disk:
        platform.start()
        try:
            yield platform
        finally:
            platform.stop()


class Dice(random.Random):
    """Dice that know their seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.seeded_by = seed


@pytest.fixture
def dice() -> Dice:
    """Give dice by the seed in SEED, or by a fresh one; it is shown where the test fails."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed}")  # noqa: T201 - `make soak` shows it too
    return Dice(seed)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open Chromium; it ends with the module, since its event loop would disturb other tests."""
    path = chromium.find()
    assert path, "no Chromium: run `python -m tests.chromium`"
    args = [
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=args, chromium_sandbox=os.getuid() != 0
        )
        expect.set_options(timeout=PAGE_MS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser, platform: Platform) -> Iterator[Callable[..., Page]]:
    """Open pages of different people: each has cookies of its own.

    Afterwards no page may have had an error in its scripts, or have broken its security policy.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(**how: object) -> Page:
        how.setdefault("viewport", {"width": 1280, "height": 800})
        how.setdefault("base_url", platform.base_url)
        context = browser.new_context(**how)
        context.set_default_timeout(PAGE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: note(page.url, said.type, said.text))
        return page

    def note(url: str, kind: str, text: str) -> None:
        if kind == "error" and "Content Security Policy" in text:
            complaints.append(f"{url}: {text}")

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """Open one page at desktop size."""
    return new_page()
