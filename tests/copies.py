"""Copies of the platform for tests: own servers, and one process that serves nobody."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from krakapp import embedded

ROOT = Path(__file__).parents[1]
PATIENCE_S = 240
NOT_THEIRS = ("DATABASE", "RATE_LIMITS")
SECRETS = dict.fromkeys(("SECRET_KEY", "BANK_WEBHOOK_SECRET", "CARD_WEBHOOK_SECRET"), "x" * 50)
SECRETS |= {"PERSONAL_DATA_KEYS": "ab" * 32}


class Copy:
    """One copy of the platform, with one process that serves nobody."""

    def __init__(self, home, **env):
        self.home = home
        self.port = free_port()
        procfile = home.parent / f"{home.name}.procfile"
        procfile.write_text("sleeper: sleep 1000\n")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_THEIRS)}
        self.env = inherited | SECRETS | {"PRICE_FEED": "kraken"}
        self.env |= {"KRAKAPP_DEMO": "0", "KRAKAPP_HOME": str(home), "PORT": str(self.port)} | env
        self.argv = [sys.executable, "manage.py", "up", "--procfile", str(procfile)]

    def start(self):
        """Start it, and wait until its process runs."""
        process = subprocess.Popen(
            self.argv, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_S
        while not self.pid_of_the_sleeper(process):
            assert process.poll() is None, (self.home / "log/prepare.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    def pid_of_the_sleeper(self, process):
        """Give it once this supervisor, not an earlier one, has started it."""
        for pid in processes_of(self.home):
            status = read(f"/proc/{pid}/status")
            if "Name:\tsleep" in status and f"PPid:\t{process.pid}\n" in status:
                return pid
        return None

    def refusal(self):
        """Start it in vain, and give what it said."""
        done = subprocess.run(
            self.argv, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stdout == ""
        assert processes_of(self.home) == []
        (line,) = done.stderr.splitlines()
        return line

    def ask(self, statement):
        """Ask its database, as the owner."""
        run = str(self.home / "run")
        place = {"host": run, "user": embedded.OWNER, "dbname": "krakapp"}
        with psycopg.connect(**place, password=owners_password(self.home)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None


def owners_password(home):
    return (home / "secrets/database_owner").read_text()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(path):
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def processes_of(home):
    """List every process that was started for a home, servers included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        said = read(process / "environ").split("\0") + read(process / "cmdline").split("\0")
        if f"KRAKAPP_HOME={home}" in said or str(home / "postgres") in said:
            found.append(int(process.name))
    return found


def wait_until_gone(home):
    embedded.wait_until(lambda: not processes_of(home), seconds=PATIENCE_S, what="their end")
