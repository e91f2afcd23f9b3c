"""Production's first start, on a PostgreSQL and a Valkey over TCP that ask for passwords."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import servers
from tests.installation import HOST, ROOT, Installation


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """Bring an installation up to where its processes may start."""
    folder = tmp_path_factory.mktemp("production")
    with servers.over_tcp(folder / "servers") as theirs:
        installation = Installation(folder / "home", theirs)
        installation.manage("provision_database", DATABASE_OWNER_URL=theirs.owner_url)
        said = installation.manage("prepare", DATABASE_OWNER_URL=theirs.owner_url)
        assert re.search(r"^\d+ instruments are listed\.$", said, re.MULTILINE)
        yield installation


class TestAnInstallation:
    def test_passes_the_checks_of_a_deployment(self, installation):
        installation.manage("check", "--deploy", "--fail-level", "WARNING")

    def test_gets_its_first_staff_by_a_link(self, installation):
        words = ("create_staff", "--email", "ida@krakapp.test", "--role", "Compliance")
        assert f"\nhttps://{HOST}/accounts/password/reset/key/" in installation.manage(*words)

    def test_lets_nobody_in_without_a_password(self, installation):
        owner = installation.theirs.owner_url
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(re.sub(":[0-9a-f]{32}@", "@", owner))
        with psycopg.connect(installation.theirs.app_url) as app:
            roles = app.execute("SELECT current_user, pg_has_role('krakapp_app', 'USAGE')")
            assert roles.fetchone() == ("krakapp_web", True)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute("UPDATE ledger_account SET posted = 1")

    def test_is_well_in_every_process_and_knows_no_owner(self, installation):
        process = installation.start()
        try:
            children = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, check=True
            ).stdout.split()
            assert len(children) == 6
            for pid in children:
                environ = Path(f"/proc/{int(pid)}/environ").read_bytes()
                assert installation.theirs.owner_url.encode() not in environ
            assert installation.ask("/accounts/login/")[0] == 301  # to HTTPS
            status, headers, _ = installation.ask(
                "/accounts/login/", **{"X-Forwarded-Proto": "https"}
            )
            assert (status, "Strict-Transport-Security" in headers) == (200, True)
            assert re.search("books are clean", installation.manage("audit_books"))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0

    def test_stays_in_production(self, installation):
        env = installation.env | {"KRAKAPP_DEMO": "1", "PRICE_FEED": "simulated"}
        done = subprocess.run(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "belongs to a production platform" in done.stderr
