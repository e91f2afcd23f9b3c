"""`manage.py up`: the whole platform in one terminal."""

import http.client
import json
import os
import shlex
import socket
import string
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from krakapp import backup, embedded, home, staff
from krakapp.embedded import CannotStart
from krakapp.home import HomeMistaken
from krakapp.supervisor import Program, StopAsked, Supervisor

READY_S = 120
STRAIGHT = build_opener(ProxyHandler({}))  # whatever proxy the environment names: it is our own

# Who serves customers stops first, who keeps the data last; whatever is not named, in between.
PHASES = {"web": 0, "worker": 1, "beat": 1, "valkey": 3, "postgres": 4}
OTHERS = 2

DEMO_PEOPLE = {
    "alice@demo.test": "a customer with shares, cash and a card",
    "bob@demo.test": "a customer who still has to verify",
    "carol@demo.test": "a customer with 2,500 dollars",
    "sam@demo.test": "support, at /admin/",
    "olivia@demo.test": "compliance, who approves what others propose, at /admin/",
    "oscar@demo.test": "market operations, at /admin/",
    "tara@demo.test": "treasury, at /admin/",
    "admin@demo.test": "everything, at /admin/",
}


class Command(BaseCommand):
    help = "Start the servers it needs and every process of the Procfile, and keep them running."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--procfile", type=Path, default=settings.BASE_DIR / "Procfile")

    def handle(self, *args: Any, **options: Any) -> None:
        host = os.environ.get("HOST", "127.0.0.1")
        try:
            with embedded.claim(settings.HOME, settings.RUN):
                home.remember(settings.HOME, demo=settings.DEMO)
                check_port(host, settings.PORT)
                with Supervisor(run=settings.RUN, log=settings.HOME / "log") as supervisor:
                    start_servers(supervisor)
                    prepare(supervisor)
                    for program in programs(options["procfile"], host=host, port=settings.PORT):
                        supervisor.start(program)
                    supervisor.tend(until=lambda: not failing_parts(host), seconds=READY_S)
                    self.stdout.write(greeting(failing_parts(host)))
                    self.stdout.flush()
                    supervisor.tend()
        except StopAsked:
            return
        except (CannotStart, HomeMistaken, OSError) as error:
            raise CommandError(str(error)) from error


def check_port(host: str, port: int) -> None:
    """Find out early whether the web process will get its address.

    :raises CannotStart: if somebody else has it
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {host}:{port} ({error.strerror}): choose another PORT."
            ) from error


def start_servers(supervisor: Supervisor) -> None:
    """Start the embedded servers that the environment does not replace, and wait for them.

    :raises CannotStart: if one does not come up
    """
    servers: list[embedded.Server] = []
    if settings.EMBEDDED_POSTGRES:
        archiving = backup.archiving(settings.BACKUP_DIR)
        servers.append(embedded.Postgres(settings.HOME, settings.RUN, archiving))
    if settings.EMBEDDED_VALKEY:
        servers.append(embedded.Valkey(settings.HOME, settings.RUN))
    for server in servers:
        supervisor.start(
            Program(
                name=server.name,
                argv=server.argv,
                phase=PHASES[server.name],
                stop_signal=server.stop_signal,
                patience_s=embedded.STOP_S,
                expendable=server.name != "postgres",
                prepare=server.prepare,
            )
        )
    for server in servers:
        if not supervisor.tend(until=server.is_ready, seconds=embedded.START_S):
            log = supervisor.log_folder / f"{server.name}.log"
            raise CannotStart(f"{server.name} does not come up: see {log}.")


def prepare(supervisor: Supervisor) -> None:
    """Run `manage.py prepare`.

    :raises CannotStart: if it fails
    """
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "prepare"]
    program = Program(name="prepare", argv=[*embedded.dies_with_parent("TERM"), *argv])
    if code := supervisor.run(program):
        log = supervisor.log_folder / "prepare.log"
        raise CannotStart(f"Setting up failed with exit code {code}: see above, or {log}.")


def programs(procfile: Path, *, host: str, port: int) -> Iterator[Program]:
    """Read the Procfile: one `name: command` a line, with $VARIABLES of the environment."""
    env = environment(host=host, port=port)
    for line in procfile.read_text().splitlines():
        name, _, command = line.partition(":")
        argv = shlex.split(string.Template(command).substitute(env))
        yield Program(
            name=name,
            argv=[*embedded.dies_with_parent("TERM"), *argv],
            env=env,
            cwd=settings.BASE_DIR,
            phase=PHASES.get(name, OTHERS),
        )


def environment(*, host: str, port: int) -> Mapping[str, str]:
    """Give the programs ours, and say where the servers are; the owner's address is not theirs."""
    return dict(os.environ) | {
        "DATABASE_OWNER_URL": "",
        "HOST": host,
        "PORT": str(port),
        "KRAKAPP_HOME": str(settings.HOME),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc keeps an arena for each thread, and never gives it back
    }


def failing_parts(host: str) -> list[str]:
    """Ask the platform how it is, as a stranger would; nothing is failing once it is well."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    request = Request(
        f"http://{reachable}:{settings.PORT}/healthz",
        headers={"Host": urlsplit(settings.SITE_URL).netloc},
    )
    try:
        with STRAIGHT.open(request, timeout=5):
            return []
    except HTTPError as answer:
        with answer, suppress(ValueError):
            parts = json.load(answer)
            return [name for name, state in parts.items() if name != "status" and state != "ok"]
        return [f"web ({answer.code})"]
    except (URLError, OSError, http.client.HTTPException):
        return ["web"]


def greeting(failing: list[str]) -> str:
    """Say where it is and who may sign in."""
    if failing:
        lines = [f"KrakApp runs at {settings.SITE_URL}, but not well: {', '.join(failing)}."]
    else:
        lines = [f"KrakApp is ready at {settings.SITE_URL}"]
    if settings.DEMO:
        width = max(map(len, DEMO_PEOPLE))
        lines += ["", f"Sign in with the password {settings.DEMO_PASSWORD} as"]
        lines += [f"  {email:<{width}}  {who}" for email, who in DEMO_PEOPLE.items()]
        lines += [
            "",
            "The staff's second step is a code: manage.py demo_code sam@demo.test says it,",
        ]
        lines += ["and so does an authenticator app that was given the key:"]
        behind = [email for email, who in DEMO_PEOPLE.items() if who.endswith("/admin/")]
        lines += [f"  {email:<{width}}  {staff.setup_key(email)}" for email in behind]
        lines += ["", "Look behind the counter from a second terminal:", *second_terminal()]
    return "\n".join(["", *lines, "", "Ctrl-C stops everything.", ""])


def second_terminal() -> list[str]:
    """Give the commands that talk to this very copy from another terminal."""
    said = {
        "KRAKAPP_HOME": (settings.HOME, settings.BASE_DIR / "var"),
        "PORT": (settings.PORT, 8000),
        "SITE_URL": (settings.SITE_URL, f"http://127.0.0.1:{settings.PORT}"),
    }
    exports = [
        f"{name}={shlex.quote(str(now))}" for name, (now, usual) in said.items() if now != usual
    ]
    theirs = [name for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ]
    python = Path(sys.executable)
    if python.is_relative_to(settings.BASE_DIR):
        python = python.relative_to(settings.BASE_DIR)
    return [
        f"  cd {shlex.quote(str(settings.BASE_DIR))}",
        *([f"  export {' '.join(exports)}"] if exports else []),
        *([f"  export {' '.join(theirs)}  # with the values they have here"] if theirs else []),
        f"  {shlex.quote(str(python))} manage.py audit_books  # or shell, or help for all there is",
    ]
