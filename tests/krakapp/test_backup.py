import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from krakapp import backup, database, embedded
from krakapp.backup import BackupFailed
from krakapp.embedded import CannotStart, Postgres
from tests.copies import ROOT, Copy, owners_password, processes_of, wait_until_gone

NIGHT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


def manage(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def done(env: dict[str, str], *args: str) -> str:
    """Run a command that has to succeed, and give what it printed."""
    ran = manage(env, *args)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def refused(env: dict[str, str], *args: str) -> str:
    """Run a command that has to be refused, and give the line it said."""
    ran = manage(env, *args)
    assert ran.returncode == 1, ran.stdout
    return ran.stderr


class TestChoosing:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for day in range(3):
            name = (NIGHT + timedelta(days=day)).strftime(backup.NAME)
            (tmp_path / f"{backup.BASE}{name}").mkdir()
        (tmp_path / "base.part").mkdir()
        return tmp_path

    def choose(self, folder: Path, at: datetime | None = None, name: str = "") -> datetime:
        return backup._choose(folder, at=at, name=name).taken_at

    def test_takes_the_newest(self, folder: Path) -> None:
        assert self.choose(folder) == NIGHT + timedelta(days=2)

    def test_takes_the_newest_before_a_moment(self, folder: Path) -> None:
        assert self.choose(folder, NIGHT + timedelta(hours=30)) == NIGHT + timedelta(days=1)

    def test_takes_the_one_that_is_named(self, folder: Path) -> None:
        assert self.choose(folder, name="base-20261201T030000Z") == NIGHT

    def test_names_what_there_is_where_none_fits(self, folder: Path) -> None:
        with pytest.raises(BackupFailed, match="base-20261201T030000Z, base-2026"):
            self.choose(folder, NIGHT - timedelta(hours=1))

    def test_says_so_where_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(BackupFailed, match="none at all"):
            self.choose(tmp_path)


class TestABaseBackup:
    """Of the embedded server, which goes on while it is copied."""

    @pytest.fixture(scope="class")
    def copy(self, tmp_path_factory):
        copy = Copy(tmp_path_factory.mktemp("backup") / "home", BACKUPS_KEPT="1")
        process = copy.start()
        for _ in range(2):
            done(copy.env, "backup")
        copy.ask("CREATE TABLE after_the_backup AS SELECT 1 AS one")
        segment = copy.ask("SELECT pg_walfile_name(pg_switch_wal())")
        archived = copy.home / f"backups/wal/{segment}.gz"
        embedded.wait_until(archived.exists, seconds=60, what="the archive")
        copy.said_while_running = refused(copy.env, "restore")
        process.send_signal(signal.SIGINT)
        process.wait()
        wait_until_gone(copy.home)
        yield copy
        for pid in processes_of(copy.home):
            os.kill(pid, signal.SIGKILL)

    def taken(self, copy: Copy) -> list[backup.Backup]:
        return backup.backups(copy.home / "backups")

    def test_is_kept_as_often_as_wanted(self, copy):
        assert len(self.taken(copy)) == 1

    def test_is_not_restored_under_a_running_platform(self, copy):
        assert "already runs" in copy.said_while_running

    def test_is_not_restored_where_it_is_damaged(self, copy):
        archive = self.taken(copy)[-1].path / "base.tar.gz"
        sound = archive.read_bytes()
        archive.write_bytes(sound[:1000] + b"?" + sound[1001:])
        assert "pg_verifybackup failed" in refused(copy.env, "restore")
        archive.write_bytes(sound)
        assert (copy.home / "postgres/PG_VERSION").exists()

    def test_is_not_restored_without_the_secrets_of_its_time(self, copy):
        secret = copy.home / "secrets/database_owner"
        password = secret.read_text()
        secret.write_text("another")
        assert "secrets of that time" in refused(copy.env, "restore")
        secret.write_text(password)

    def test_is_restored_with_all_that_was_archived_since(self, copy):
        shutil.rmtree(copy.home / "postgres")
        assert "books are clean" in done(copy.env, "restore")
        process = copy.start()
        assert copy.ask("SELECT one FROM after_the_backup") == 1
        process.send_signal(signal.SIGINT)
        process.wait()
        wait_until_gone(copy.home)

    def test_sets_aside_what_was_there(self, copy):
        said = done(copy.env, "restore")
        [aside] = copy.home.glob("postgres.before-*")
        assert str(aside) in said
        (copy.home / "postgres").rename(copy.home / "somewhere")
        with pytest.raises(CannotStart, match="set aside by a restore"):
            Postgres(copy.home, copy.home / "run").prepare()


class TestADump:
    """Of a server that the environment names."""

    @pytest.fixture(scope="class")
    def env(self, tmp_path_factory):
        home = tmp_path_factory.mktemp("dump") / "home"
        server = Postgres(home, home / "run", {"fsync": "off"})
        with embedded.running(home, home / "run", server):
            env = Copy(home).env | {"KRAKAPP_HOME": str(home.parent / "app")}
            place = quote(str(home / "run"), safe="")
            env["DATABASE_URL"] = f"postgresql://krakapp_app:app-password@{place}/krakapp"
            owner = f"{embedded.OWNER}:{owners_password(home)}"
            env["DATABASE_OWNER_URL"] = f"postgresql://{owner}@{place}/krakapp"
            done(env, "provision_database")
            done(env, "migrate", "--database", "owner")
            done(env, "load_instruments")
            done(env, "backup")
            self.ask(home, "postgres", "ALTER DATABASE krakapp RENAME TO before")
            yield env

    def ask(self, home: Path, name: str, statement: str) -> None:
        place = {"HOST": str(home / "run"), "PORT": "", "NAME": name, "USER": embedded.OWNER}
        with database.connect(place | {"PASSWORD": owners_password(home)}) as connection:
            connection.execute(statement)

    def test_has_one_moment_only(self, env):
        late = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        assert "one moment only" in refused(env, "restore", "--at", late)

    def test_is_restored_into_an_empty_database_and_over_nothing_else(self, env):
        said = done(env, "restore")
        assert "books are clean" in said
        assert "79 instruments" in done(env, "load_instruments")
        assert "has tables already" in refused(env, "restore")
