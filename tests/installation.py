"""An installation in production, as an operator has it: a folder, an environment, a terminal."""

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tests import servers

ROOT = Path(__file__).parents[1]
HOST = "krakapp.test"
PATIENCE_S = 240
WELL = dict.fromkeys(("status", "database", "redis", "engine", "worker", "feed", "liquidity"), "ok")


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Installation:
    """What an operator has: a folder, an environment, and a terminal."""

    def __init__(self, home, theirs):
        self.home, self.theirs, self.port = home, theirs, servers.free_port()
        self.env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.env |= theirs.env | {
            "KRAKAPP_HOME": str(home),
            "KRAKAPP_DEMO": "0",
            "PORT": str(self.port),
            "SITE_URL": f"https://{HOST}",
            "ALLOWED_HOSTS": HOST,
            "TRUSTED_PROXIES": "127.0.0.1",
            **{
                name: secrets.token_hex(32)
                for name in (
                    "SECRET_KEY",
                    "BANK_WEBHOOK_SECRET",
                    "CARD_WEBHOOK_SECRET",
                    "PERSONAL_DATA_KEYS",
                )
            },
        }

    def manage(self, *words, **env):
        """Run a command; give what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        """Start every process of the Procfile, and wait until all of them are well."""
        with (self.home / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE_S
        while (told := self.health()) != WELL:
            said = (self.home / "up.log").read_text()[-4000:]
            assert process.poll() is None, said
            assert time.monotonic() < deadline, f"{told}\n{said}"
            time.sleep(0.2)
        return process

    def ask(self, path, **headers):
        """Ask the web process as the proxy does; give (status, headers, body)."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = Request(url, headers={"Host": HOST, **headers})
        try:
            with build_opener(NoRedirect).open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    def health(self):
        """Ask how each part is."""
        try:
            return json.loads(self.ask("/healthz")[2])
        except (URLError, OSError, ValueError):
            return {}
