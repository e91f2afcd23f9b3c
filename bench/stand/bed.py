"""A home of the bench's own: the real servers on it, as in production, and the platform itself."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from common import realtime
from krakapp import embedded

ROOT = Path(__file__).resolve().parents[2]
START_S = 120
STOP_S = 60
# The crowd gets its money and shares from nowhere, which only the owner can list a kind for.
A_KIND_OF_THE_BENCH = """
    INSERT INTO ledger_journalkind (name, guard) VALUES ('bench', 'ledger_journals_at_once')
    ON CONFLICT DO NOTHING
"""


@contextmanager
def servers() -> Iterator[None]:
    """Run PostgreSQL and Valkey on the home, migrated, with the demo's world."""
    with embedded.running(
        settings.HOME,
        settings.RUN,
        embedded.Postgres(settings.HOME, settings.RUN),
        embedded.Valkey(settings.HOME, settings.RUN),
    ):
        call_command("prepare", stdout=sys.stderr)
        with connections["owner"].cursor() as owner:
            owner.execute(A_KIND_OF_THE_BENCH)
        yield
        let_go()


def let_go() -> None:
    """Close what is open, before a fork or a stop."""
    connections.close_all()
    realtime.connection().close()


@contextmanager
def platform(*, port: int) -> Iterator[str]:
    """Run every process on the home and give the address; the servers must not run yet."""
    address = f"http://127.0.0.1:{port}"
    log = (settings.HOME / "up.log").open("wb")
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [*embedded.dies_with_parent("INT"), sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=os.environ
        | {
            "PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "bench.stand.settings",
            "SIMULATED_CUSTOMERS": "0",  # the load is the bench's alone
        },
        stdout=log,
        stderr=log,
    )

    def well() -> bool:
        if process.poll() is not None:
            raise embedded.CannotStart(f"the platform ended: see {log.name}")
        try:
            with urlopen(f"{address}/healthz", timeout=10) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except HTTPError as answer:
            answer.close()
        except (URLError, OSError):
            pass
        return False

    try:
        embedded.wait_until(well, seconds=START_S, what="the platform")
        yield address
    finally:
        let_go()
        process.send_signal(signal.SIGINT)
        process.wait(STOP_S)
        log.close()


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do some work in so many processes at once, each with connections of its own.

    :param work: is told which of them it is; its answer must pickle
    :returns: the answers
    """
    let_go()
    context = get_context("fork")
    answers = context.SimpleQueue()
    processes = [
        context.Process(target=lambda number=number: answers.put(work(number)))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a process ended with {process.exitcode}")
    return [answers.get() for _ in processes]


def peak_mb() -> float:
    """Give the most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def web_peak_mb() -> int:
    """Give the most memory that the platform's web processes had, added up."""
    leader = (settings.RUN / "web.pid").read_text().split()[0]
    peak_kb = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
            session = fields["NSsid"].split()[-1]
            if session == leader and "VmHWM" in fields:
                peak_kb += int(fields["VmHWM"].split()[0])
    return peak_kb // 1024
