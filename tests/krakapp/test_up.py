import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from krakapp import embedded
from krakapp import home as home_
from krakapp.embedded import Postgres, Valkey
from krakapp.management.commands import up
from tests.copies import (
    PATIENCE_S,
    ROOT,
    SECRETS,
    Copy,
    owners_password,
    processes_of,
    read,
    wait_until_gone,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("up") / "home"


@pytest.fixture
def copy(home):
    copy = Copy(home)
    yield copy
    for pid in processes_of(home):
        os.kill(pid, signal.SIGKILL)


class TestStoppingIt:
    @pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
    def test_leaves_no_process_behind(self, copy, asked):
        process = copy.start()
        process.send_signal(asked)
        assert process.wait(PATIENCE_S) == 0
        assert processes_of(copy.home) == []


class TestKillingIt:
    def test_costs_no_data_and_leaves_nothing_twice(self, copy):
        first = copy.start()
        copy.ask("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
        first.kill()
        first.wait()
        second = copy.start()
        assert copy.ask("SELECT answer FROM kept") == 42
        assert copy.ask("SELECT count(*) FROM django_migrations") > 0
        sleepers = [p for p in processes_of(copy.home) if "sleep" in read(f"/proc/{p}/comm")]
        for pid in sleepers:
            environ = read(f"/proc/{pid}/environ")
            assert "DATABASE_OWNER_URL=\0" in environ
            assert owners_password(copy.home) not in environ
        assert sleepers == [copy.pid_of_the_sleeper(second)]
        second.terminate()
        assert second.wait(PATIENCE_S) == 0

    def test_ends_its_processes_too(self, copy):
        process = copy.start()
        process.kill()
        process.wait()
        wait_until_gone(copy.home)


class TestStartingInVain:
    def test_names_a_port_in_use(self, tmp_path):
        copy = Copy(tmp_path / "home")
        with socket.create_server(("127.0.0.1", copy.port)):
            assert f"Cannot listen on 127.0.0.1:{copy.port}" in copy.refusal()
        assert not (copy.home / "postgres").exists()

    def test_names_data_of_another_version(self, tmp_path):
        copy = Copy(tmp_path / "home")
        (copy.home / "postgres").mkdir(parents=True)
        (copy.home / "postgres/PG_VERSION").write_text("17\n")
        assert "written by PostgreSQL 17" in copy.refusal()

    @pytest.mark.parametrize("demo", ["0", "1"])
    def test_names_a_home_that_cannot_be_written(self, tmp_path, demo):
        (tmp_path / "file").write_text("")
        copy = Copy(tmp_path / "file", KRAKAPP_DEMO=demo, KRAKAPP_HOME=str(tmp_path / "file/home"))
        if demo == "1":
            copy.env.pop("SECRET_KEY")
        assert "Cannot write in KRAKAPP_HOME" in copy.refusal()

    def test_names_the_home_that_another_copy_has(self, copy):
        first = copy.start()
        second = Copy(copy.home)
        done = subprocess.run(
            second.argv, cwd=ROOT, env=second.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "already runs on" in done.stderr
        assert first.poll() is None
        first.terminate()
        assert first.wait(PATIENCE_S) == 0

    @pytest.mark.parametrize("secret", SECRETS)
    def test_names_a_secret_that_is_missing(self, tmp_path, secret):
        copy = Copy(tmp_path / "home")
        del copy.env[secret]
        assert f"Set {secret} in the environment" in copy.refusal()

    @pytest.mark.parametrize("first", [True, False])
    def test_names_a_home_of_the_other_kind(self, tmp_path, first):
        copy = Copy(tmp_path / "home", KRAKAPP_DEMO=str(int(not first)), PRICE_FEED="kraken")
        copy.home.mkdir()
        home_.remember(copy.home, demo=first)
        was, is_now = ("demo", "production") if first else ("production", "demo")
        assert f"belongs to a {was} platform" in (said := copy.refusal())
        assert f"asks for a {is_now} one" in said


class TestTheGreeting:
    @pytest.fixture
    def a_web_process(self, settings):
        class Well(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()

        with HTTPServer(("127.0.0.1", 0), Well) as server:
            settings.PORT = server.server_port
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield
            server.shutdown()

    def test_asks_our_own_web_process_past_any_proxy(self, a_web_process, monkeypatch):
        monkeypatch.delenv("no_proxy")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert up.failing_parts("127.0.0.1") == []

    def test_says_what_a_second_terminal_needs(self, settings, monkeypatch):
        settings.HOME, settings.PORT = Path("/srv/a demo"), 8111
        settings.SITE_URL = "http://127.0.0.1:8111"
        monkeypatch.setattr(sys, "executable", str(ROOT / ".venv/bin/python"))
        enter, export, command = up.second_terminal()
        assert enter.strip() == f"cd {shlex.quote(str(ROOT))}"
        assert export.strip() == "export KRAKAPP_HOME='/srv/a demo' PORT=8111"
        assert command.startswith("  .venv/bin/python manage.py audit_books")

    def test_says_little_where_everything_is_as_usual(self, settings, monkeypatch):
        settings.HOME, settings.PORT = ROOT / "var", 8000
        settings.SITE_URL = "http://127.0.0.1:8000"
        monkeypatch.delenv("DATABASE_URL", raising=False)
        assert not [line for line in up.second_terminal() if "export" in line]


class TestServersOfOnesOwn:
    def test_are_used_and_nothing_embedded_is_started(self, home, tmp_path):
        theirs, ours = tmp_path / "theirs", tmp_path / "ours"
        shutil.copytree(home / "static", ours / "static")
        run = theirs / "run"
        theirs.mkdir()
        with embedded.running(theirs, run, Postgres(theirs, run), Valkey(theirs, run)):
            url = f"postgresql://{{}}@{str(run).replace('/', '%2F')}/krakapp"
            owner = f"{embedded.OWNER}:{owners_password(theirs)}"
            copy = Copy(
                ours,
                DATABASE_URL=url.format("krakapp_web:theirs"),
                DATABASE_OWNER_URL=url.format(owner),
                REDIS_URL=f"unix://{run}/valkey.sock?db=0",
            )
            process = copy.start()
            sleeper = copy.pid_of_the_sleeper(process)
            assert owners_password(theirs) not in read(f"/proc/{sleeper}/environ")
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        assert not (ours / "postgres").exists()
