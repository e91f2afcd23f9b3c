"""`manage.py check --deploy`."""

import os
import secrets
import subprocess
import sys

import pytest
from django.core.management.base import SystemCheckError

from krakapp import checks
from krakapp.management.commands import prepare
from tests import world
from tests.krakapp.test_settings import ROOT

OLD_SAMPLE = "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def ids(found):
    return [message.id for message in found]


@pytest.fixture(autouse=True)
def sound(settings):
    """Settings with nothing to complain about; each test spoils one."""
    for name in checks.SECRETS:
        setattr(settings, name, secrets.token_urlsafe(48))
    settings.PERSONAL_DATA_KEYS = [secrets.token_hex(32)]
    settings.ALLOWED_HOSTS, settings.TRUSTED_PROXIES = ["krakapp.test"], ["10.0.0.0/8"]
    settings.SECURE_TLS, settings.DEMO, settings.PRICE_FEED = True, False, "kraken"


class TestSecrets:
    def test_that_are_random_pass(self):
        assert ids(checks.secrets_are_strong()) == []
        assert not [weak for _ in range(500) if (weak := checks.fault_of(secrets.token_hex(32)))]

    @pytest.mark.parametrize(
        ("weak", "fault"),
        [
            ("django-insecure-" + "k3J_9x" * 10, "development"),
            ("short", "has 5 characters"),
            ("x" * 64, "one after the other"),
            (OLD_SAMPLE, "one after the other"),
            ("00112233445566778899aabbccddeeff" * 2, "one after the other"),
            ("correcthorse" * 6, "repeats itself"),
            ("changeme-please!" * 4, "repeats itself"),
        ],
    )
    @pytest.mark.parametrize("name", checks.SECRETS)
    def test_that_can_be_guessed_are_refused(self, settings, name, weak, fault):
        setattr(settings, name, weak)
        (found,) = checks.secrets_are_strong()
        assert (found.id, name in found.msg, fault in found.msg) == ("krakapp.E001", True, True)
        assert weak not in found.msg

    def test_that_are_one_secret_are_refused(self, settings):
        settings.BANK_WEBHOOK_SECRET = settings.CARD_WEBHOOK_SECRET
        (found,) = checks.secrets_are_strong()
        assert found.id == "krakapp.E002"
        assert found.msg == "BANK_WEBHOOK_SECRET and CARD_WEBHOOK_SECRET are the same."

    def test_of_personal_data_are_looked_at_too(self, settings):
        settings.PERSONAL_DATA_KEYS = ["ab" * 32, secrets.token_hex(32)]
        (found,) = checks.secrets_are_strong()
        assert found.msg.startswith("key 1 of PERSONAL_DATA_KEYS")


class TestStrangers:
    def test_are_told_apart(self):
        assert list(checks.strangers_are_told_apart()) == []

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("ALLOWED_HOSTS", ["krakapp.test", "*"], ["krakapp.E003"]),
            ("TRUSTED_PROXIES", [], ["krakapp.E004"]),
            ("TRUSTED_PROXIES", ["*"], ["krakapp.E005"]),
            ("TRUSTED_PROXIES", ["0.0.0.0/0"], ["krakapp.E005"]),
        ],
    )
    def test_are_not_believed(self, settings, name, value, expected):
        setattr(settings, name, value)
        assert ids(checks.strangers_are_told_apart()) == expected


class TestMadeUpThings:
    def test_are_refused(self, settings):
        assert ids(checks.nothing_is_made_up()) == []
        settings.DEMO, settings.PRICE_FEED = True, "simulated"
        assert ids(checks.nothing_is_made_up()) == ["krakapp.E006", "krakapp.E007"]


@pytest.mark.django_db
class TestSimulatedCustomers:
    def test_are_refused_where_people_are_real(self, settings):
        settings.DEMO = True
        world.simulated()
        assert list(checks.nobody_is_simulated(["default"])) == []
        settings.DEMO = False
        assert ids(checks.nobody_is_simulated(["default"])) == ["krakapp.E008"]
        assert list(checks.nobody_is_simulated(None)) == []

    def test_keep_a_platform_from_starting(self, settings):
        settings.DEMO = True
        world.simulated()
        settings.DEMO = False
        with pytest.raises(SystemCheckError, match="E008"):
            prepare.require_own_database()

    def test_nobody_passes(self):
        world.customer("alice@demo.test")
        prepare.require_own_database()


class TestTheCommand:
    def test_asks_them(self):
        """The command itself, on what a hasty operator would set."""
        env = {"PATH": os.environ["PATH"], "KRAKAPP_HOME": os.environ["KRAKAPP_HOME"]}
        env |= dict.fromkeys(checks.SECRETS, OLD_SAMPLE)
        env |= {"KRAKAPP_DEMO": "0", "PRICE_FEED": "kraken", "ALLOWED_HOSTS": "*"}
        done = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy"],
            cwd=ROOT,
            env=env | {"PERSONAL_DATA_KEYS": "ab" * 32},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        for number in (1, 2, 3, 4):
            assert f"krakapp.E00{number}" in done.stderr
