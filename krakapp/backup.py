"""Backups of the database, and restoring one to a moment.

The embedded server is copied whole while it runs (a *base backup*). From the first backup on it
archives its write-ahead log, compressed, at the latest a minute after it was written. A restore
unpacks a base backup beside the present data, replays the log up to the wanted moment, has the
books audited and the command log replayed, and only then puts the result in the data's place.

A server that the environment names is dumped (`pg_dump`), and restored into an empty database; a
moment in between is its own administrator's to give, by the same means.

Keys and other secrets are in no backup: without `PERSONAL_DATA_KEYS` nobody reads what customers
told of themselves, and whoever gets hold of a backup does not either.
"""

import gzip
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.conf import settings

from krakapp import database, embedded
from krakapp.embedded import Postgres

NAME = "%Y%m%dT%H%M%SZ"
BASE, DUMP, WAL = "base-", "dump-", "wal"
RESTORED, BEFORE = "postgres.restored", "postgres.before-"
ARCHIVE_S = 60  # the log of a quiet minute is archived too
RECOVERY_S = 3600
PROOFS = ("audit_books", "replay_commands")


class BackupFailed(Exception):
    """What keeps a backup or a restore from being done, in one line for whoever typed it."""


@dataclass(frozen=True)
class Backup:
    """One backup: a folder with a base backup, or the file of a dump; `taken_at` is its end."""

    path: Path
    taken_at: datetime

    @property
    def is_base(self) -> bool:
        """Say whether the log can be replayed on it."""
        return self.path.name.startswith(BASE)


def backups(folder: Path) -> list[Backup]:
    """List the backups in a folder, the oldest first."""
    found = []
    for prefix in (BASE, DUMP):
        for path in folder.glob(f"{prefix}*Z"):
            taken_at = datetime.strptime(path.name.removeprefix(prefix), NAME).replace(tzinfo=UTC)
            found.append(Backup(path, taken_at))
    return sorted(found, key=lambda one: one.taken_at)


# Taking one


def take(folder: Path, *, keep: int) -> Backup:
    """Back the database up, verify the copy, and let go of all but the newest.

    :param keep: how many backups stay, the new one among them
    :raises BackupFailed: if the database can't be reached, or the copy is not sound
    """
    _make_private(folder)
    backup = _take_base(folder) if settings.EMBEDDED_POSTGRES else _take_dump(folder)
    _let_go(folder, keep=keep)
    return backup


def _take_base(folder: Path) -> Backup:
    _start_archive(folder / WAL)
    part = folder / "base.part"
    shutil.rmtree(part, ignore_errors=True)
    command = ["pg_basebackup", "--pgdata", str(part), "--format=tar", "--gzip"]
    _run([*command, "--checkpoint=fast", "--wal-method=stream", "--manifest-checksums=SHA256"])
    _run(["pg_verifybackup", "--no-parse-wal", str(part)])
    return _keep(part, folder, BASE)


def _take_dump(folder: Path) -> Backup:
    part = folder / "dump.part"
    part.unlink(missing_ok=True)
    _run(["pg_dump", "--format=custom", "--file", str(part)])
    _run(["pg_restore", "--list", "--file", os.devnull, str(part)])
    return _keep(part, folder, DUMP)


def _keep(part: Path, folder: Path, prefix: str) -> Backup:
    """Give a finished backup its name; what has another is half of one."""
    taken_at = datetime.now(UTC).replace(microsecond=0)
    path = folder / f"{prefix}{taken_at.strftime(NAME)}"
    os.sync()
    part.rename(path)
    return Backup(path, taken_at)


def _start_archive(archive: Path) -> None:
    """Make the folder that the embedded server archives its log into as soon as it is there."""
    if not archive.exists():
        _make_private(archive)
        if not os.getuid():
            uid = Postgres(settings.HOME, settings.RUN).data.stat().st_uid
            os.chown(archive, uid, uid)


def _let_go(folder: Path, *, keep: int) -> None:
    """Remove the oldest backups, and the log that only they need."""
    kept = backups(folder)
    while len(kept) > max(keep, 1):
        gone = kept.pop(0).path
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    bases = [backup for backup in kept if backup.is_base]
    if bases:
        first = _first_segment(bases[0].path)
        _run(["pg_archivecleanup", "-x", ".gz", str(folder / WAL), first], server=False)


def _first_segment(base: Path) -> str:
    """Name the first segment of the log that a base backup needs, as its label says."""
    with tarfile.open(base / "base.tar.gz") as archive:
        label = archive.extractfile("backup_label")
        assert label is not None
        for line in label.read().decode().splitlines():
            if line.startswith("START WAL LOCATION"):
                return line.rpartition("(file ")[2].rstrip(")")
    raise BackupFailed(f"{base} has no label that says where its log begins.")


def archiving(folder: Path) -> Mapping[str, str]:
    """Give the settings with which the embedded server archives its log.

    Until the first backup makes the folder of the archive, the log is not kept.
    """
    archive = shlex.quote(str(folder / WAL))
    part, kept = f"{archive}/%f.part", f"{archive}/%f.gz"
    return {
        "archive_mode": "on",
        "archive_timeout": str(ARCHIVE_S),
        "archive_command": f"test ! -d {archive} || "
        f"(gzip -c %p > {part} && sync {part} && mv {part} {kept})",
    }


# Restoring one


def restore(folder: Path, *, at: datetime | None, name: str = "") -> Iterator[str]:
    """Restore the database from a backup, and say what was done, step by step.

    The present data stays as it is until the restored books are proven; then it is set aside.

    :param at: the moment to restore to; None for everything the backups have
    :param name: of the backup to begin with; else the newest before that moment
    :raises BackupFailed: if there is no such backup, or what came of it is not proven
    :raises CannotStart: while the platform runs
    """
    backup = _choose(folder, at=at, name=name)
    yield f"Restoring {backup.path.name}" + (f" to {at:%Y-%m-%d %H:%M:%S.%f} UTC" if at else "")
    if backup.is_base != settings.EMBEDDED_POSTGRES:
        kind = "a base backup" if backup.is_base else "a dump"
        raise BackupFailed(f"{backup.path.name} is {kind}: of another kind of server than this.")
    if backup.is_base:
        yield from _restore_base(backup, folder / WAL, at)
    elif at:
        raise BackupFailed("A dump has one moment only: leave --at out.")
    else:
        yield from _restore_dump(backup)


def _choose(folder: Path, *, at: datetime | None, name: str) -> Backup:
    known = backups(folder)
    fitting = [
        one
        for one in known
        if (not name or one.path.name == name) and (at is None or one.taken_at <= at)
    ]
    if not fitting:
        names = ", ".join(one.path.name for one in known) or "none at all"
        raise BackupFailed(f"There is no such backup in {folder} from before that: {names}.")
    return fitting[-1]


def _restore_base(backup: Backup, archive: Path, at: datetime | None) -> Iterator[str]:
    """Unpack, replay and prove beside the present data, then put it in that one's place."""
    began = time.monotonic()
    _run(["pg_verifybackup", "--no-parse-wal", str(backup.path)], server=False)
    present = Postgres(settings.HOME, settings.RUN)
    restored = Postgres(settings.HOME, settings.RUN, _recovery(archive, at), RESTORED)
    with embedded.claim(settings.HOME, settings.RUN):
        _unpack(backup.path, restored)
        _require_the_owners_password(restored)
    yield _took("unpacked", began)
    began = time.monotonic()
    with embedded.running(settings.HOME, settings.RUN, restored):
        _wait_for_end_of_log()
        yield _took("log replayed", began)
        yield from _prove()
    with embedded.claim(settings.HOME, settings.RUN):
        _archive_histories(restored.data, archive)
        (restored.data / "recovery.signal").unlink(missing_ok=True)
        aside = present.data.with_name(f"{BEFORE}{datetime.now(UTC).strftime(NAME)}")
        if present.data.exists():
            present.data.rename(aside)
        restored.data.rename(present.data)
    yield f"What was there before is in {aside}: remove it once it is needed no more."


def _recovery(archive: Path, at: datetime | None) -> Mapping[str, str]:
    """Say how the server replays its log, and that it archives nothing before it is believed."""
    recovery = {
        "archive_mode": "off",
        "restore_command": f"gzip -dc {shlex.quote(str(archive))}/%f.gz > %p",
        "recovery_target_action": "promote",
    }
    if at:
        recovery["recovery_target_time"] = at.isoformat()
    return recovery


def _unpack(base: Path, server: Postgres) -> None:
    """Lay a base backup out as a data folder that replays its log when it starts."""
    shutil.rmtree(server.data, ignore_errors=True)
    server.data.mkdir(mode=0o700)
    for name, place in (("base", server.data), ("pg_wal", server.data / "pg_wal")):
        _call(["tar", "-xzf", str(base / f"{name}.tar.gz"), "-C", str(place)])
    (server.data / "recovery.signal").touch()
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    if not os.getuid():
        uid = embedded.server_uid(settings.HOME)
        for folder, _, names in os.walk(server.data):
            for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118
                os.chown(path, uid, uid)


def _require_the_owners_password(restored: Postgres) -> None:
    """Refuse a backup whose owner has another password: nobody would get in.

    :raises BackupFailed: if it has
    """
    if not restored.has_our_password:
        raise BackupFailed(
            f"The backup's owner has another password than {settings.HOME}/secrets says: bring the "
            "secrets of that time back first."
        )


def _wait_for_end_of_log() -> None:
    """Wait until the server has replayed all it should, and takes writes.

    :raises BackupFailed: if it ended instead, as it does where the log ends before the moment
    """
    deadline = time.monotonic() + RECOVERY_S
    while time.monotonic() < deadline:
        try:
            with database.connect(settings.DATABASES["owner"], name="postgres") as server:
                row = server.execute("SELECT pg_is_in_recovery()").fetchone()
        except psycopg.OperationalError as error:
            log = settings.HOME / "log/servers.log"
            raise BackupFailed(f"The server ended while it replayed its log: see {log}.") from error
        if row == (False,):
            return
        time.sleep(0.1)
    raise BackupFailed(f"The log was not replayed within {RECOVERY_S} s.")


def _archive_histories(data: Path, archive: Path) -> None:
    """Archive where the restored log left the old one, so that a later restore finds its way."""
    for history in (data / "pg_wal").glob("*.history"):
        with history.open("rb") as source, gzip.open(archive / f"{history.name}.gz", "wb") as copy:
            shutil.copyfileobj(source, copy)


def _restore_dump(backup: Backup) -> Iterator[str]:
    """Read a dump into a database that has nothing in it yet, in one transaction."""
    began = time.monotonic()
    owner = settings.DATABASES["owner"]
    database.provision(owner=owner, app=settings.DATABASES["default"])
    with database.connect(owner) as server:
        found = server.execute(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchone()
    if found != (0,):
        raise BackupFailed("The database has tables already: name an empty one, or drop them.")
    database.withhold(owner=owner)
    name = str(owner["NAME"])
    _run(["pg_restore", "--single-transaction", "--dbname", name, str(backup.path)])
    yield _took("read in", began)
    yield from _prove()


def _prove() -> Iterator[str]:
    """Let the books be audited and the command log replayed, as an operator would.

    :raises BackupFailed: if either finds something
    """
    for proof in PROOFS:
        began = time.monotonic()
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), proof]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BackupFailed(f"{proof} found something:\n{done.stdout}{done.stderr}")
        yield _took(f"{proof}: {done.stdout.strip() or 'nothing to look at'}", began)


def _took(what: str, began: float) -> str:
    return f"{what} ({time.monotonic() - began:.1f} s)"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _run(command: Sequence[str], *, server: bool = True) -> None:
    """Run one of PostgreSQL's programs; one that talks to the server does so as the owner.

    :raises BackupFailed: if it fails, in its own words
    """
    program, *rest = command
    env = {**os.environ, **(_address() if server else {})}
    _call([str(embedded.postgres_bin() / program), *rest], env=env)


def _call(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BackupFailed(f"{Path(command[0]).name} failed: {' '.join(done.stderr.split())}")


def _address() -> dict[str, str]:
    """Give the owner's address of the database, as libpq reads it."""
    if "owner" not in settings.DATABASES:
        raise BackupFailed("Set DATABASE_OWNER_URL: only the owner may read and write everything.")
    owner = settings.DATABASES["owner"]
    named = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGDATABASE": "NAME"}
    named["PGPASSWORD"] = "PASSWORD"
    return {name: str(owner[key]) for name, key in named.items() if owner[key]}
