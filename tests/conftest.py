"""The test bed: real servers, the app's restricted role, a closed network.

Importing this file sets the environment, so nothing of Django may be imported above that.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["DJANGO_SETTINGS_MODULE"] = "krakapp.settings"
os.environ["KRAKAPP_DEMO"] = "1"
os.environ["ACCOUNT_RATE_LIMITS"] = "0"
os.environ["RATE_LIMITS"] = "0"
os.environ["SECRET_KEY"] = "only for tests"
os.environ["no_proxy"] = "*"  # what a test reaches is on this machine
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # tests side by side share no server
os.environ["KRAKAPP_HOME"] = os.environ.get("KRAKAPP_HOME", str(ROOT / "var/test")) + WORKER
sys.path.insert(0, str(ROOT))

import socket  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client, TransactionTestCase  # noqa: E402
from hypothesis import settings as hypothesis_settings  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

from common import clock, realtime  # noqa: E402
from krakapp import embedded  # noqa: E402
from tests.database import Bed  # noqa: E402

# A shared machine stalls, which fails no test. CI repeats itself, a developer explores.
hypothesis_settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis_settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "dev")

settings.STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let no worker inherit this: it would read the settings before it has a home of its own."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


class JourneysTogether(LoadScopeScheduling):
    """Journeys share one platform: they run one after the other, and the rest goes on beside it.

    Groups by mark (`--dist loadgroup`) do nothing with pytest 9.2 and pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "journeys" if nodeid.startswith("tests/journeys/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> JourneysTogether:
    """Say what runs on which worker."""
    return JourneysTogether(config, log)


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """Run PostgreSQL and Valkey for the session, unless the environment names others."""
    needed: list[embedded.Server] = []
    if WORKER and not (settings.EMBEDDED_POSTGRES and settings.EMBEDDED_VALKEY):
        raise pytest.UsageError("Servers of your own are shared: run the tests with -n 0.")
    if settings.EMBEDDED_POSTGRES:
        fast = {"fsync": "off", "max_connections": "120"}  # it dies with the tests, machine and all
        needed.append(embedded.Postgres(settings.HOME, settings.RUN, fast))
    if settings.EMBEDDED_VALKEY:
        needed.append(embedded.Valkey(settings.HOME, settings.RUN))
    with embedded.running(settings.HOME, settings.RUN, *needed):
        yield


@pytest.fixture(scope="session")
def django_db_setup(
    servers: None, request: pytest.FixtureRequest, django_db_blocker: Any
) -> Iterator[None]:
    """Make the test database as its owner; the tests themselves run as the app's role.

    After a `transaction=True` test the owner puts back what the migrations left, with the books'
    triggers set aside: Django's own flush would be refused, as it should be.
    """
    bed = Bed(settings.DATABASES)
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        bed.make(anew=request.config.getvalue("create_db"))
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: bed.restore())
        yield
        connections.close_all()


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """Start each test that has the database with an empty Redis too."""
    if {"db", "transactional_db", "servers"} & set(request.fixturenames) or (
        request.node.get_closest_marker("django_db")
    ):
        request.getfixturevalue("servers")
        realtime.connection().flushdb()


@pytest.fixture(autouse=True)
def _one_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no code of an authenticator's app run out between its making and its typing."""
    from allauth.mfa.totp.internal import auth  # noqa: PLC0415 - of models, which need Django set up

    now = next(auth.yield_hotp_counters_from_time())
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([now]))


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody out: only this machine's own sockets can be reached."""
    reach = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test reached out for {address}")
        reach(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def friday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock on a Friday on which every market is open."""
    from tests import world  # noqa: PLC0415 - of models, which need Django set up

    monkeypatch.setattr(clock, "now", lambda: world.NOW)


@pytest.fixture(autouse=True)
def _proven_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `client.force_login` sign in as the sign-in page does: it notes the proof just given."""
    from tests import doors  # noqa: PLC0415 - of models, which need Django set up

    monkeypatch.setattr(Client, "force_login", doors.force_login)
