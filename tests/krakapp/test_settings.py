import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from krakapp import home

ROOT = Path(__file__).parents[2]
READ = re.compile(
    r"""(?:environ\.get|env_bool|env_feed|env_int|env_keys|env_list|env_secret)\(\s*"([A-Z_]+)\""""
)


PAGE = (ROOT / "docs/configuration.md").read_text()


def sources():
    return [path for app in ROOT.glob("*/apps.py") for path in app.parent.rglob("*.py")]


class TestConfiguration:
    def test_is_documented_variable_by_variable(self):
        read = {name for path in sources() for name in READ.findall(path.read_text())}
        read -= {"PATH", "SUDO_USER"}  # the system's own
        assert read
        assert read <= set(re.findall(r"`([A-Z_]{4,})`", PAGE))

    def test_documents_nothing_that_is_not_there(self):
        documented = set(re.findall(r"^\| `([A-Z_]{4,})`", PAGE, re.MULTILINE))
        everything = "".join(path.read_text() for path in sources())
        assert documented
        assert [name for name in documented if f'"{name}"' not in everything] == []


def read_settings(*names, **env):
    """Read the settings in a process of its own; give the values of some, or what it complains."""
    inherited = {"PATH": os.environ["PATH"], "KRAKAPP_HOME": os.environ["KRAKAPP_HOME"]}
    script = f"from krakapp import settings; print(*(getattr(settings, n) for n in {names}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=inherited | env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.splitlines()[-1].partition(": ")[2]


PRODUCTION = {
    "KRAKAPP_DEMO": "0",
    "PRICE_FEED": "kraken",
    "PERSONAL_DATA_KEYS": "ab" * 32,
    **dict.fromkeys(("SECRET_KEY", "BANK_WEBHOOK_SECRET", "CARD_WEBHOOK_SECRET"), "x" * 50),
}


class TestSimulatedCustomers:
    def test_are_a_demo_s_alone(self):
        assert read_settings("SIMULATED_CUSTOMERS", KRAKAPP_DEMO="1") == "30"
        assert (
            read_settings("SIMULATED_CUSTOMERS", KRAKAPP_DEMO="1", SIMULATED_CUSTOMERS="0") == "0"
        )
        assert read_settings("SIMULATED_CUSTOMERS", **PRODUCTION) == "0"
        refused = read_settings("SIMULATED_CUSTOMERS", SIMULATED_CUSTOMERS="3", **PRODUCTION)
        assert "for demo mode only" in refused


class TestAHomeDeepInTheFolders:
    def test_keeps_its_sockets_where_their_path_is_short_enough(self, tmp_path):
        deep = str(tmp_path / ("a-folder-in-a-folder/" * 5) / "home")
        run, redis_url = read_settings("RUN", "REDIS_URL", KRAKAPP_HOME=deep, **PRODUCTION).split()
        assert len(f"{run}/.s.PGSQL.5432") < 107
        assert redis_url.startswith(f"unix://{run}/")


class TestAHomeOfAnOddName:
    def test_is_found_by_everybody_who_reads_its_address(self):
        odd = tempfile.mkdtemp(prefix="a home#1 100%25")
        url = read_settings("REDIS_URL", KRAKAPP_HOME=odd, **PRODUCTION)
        shutil.rmtree(odd)
        place = redis.Redis.from_url(url).connection_pool.connection_kwargs["path"]
        assert place == f"{odd}/run/valkey.sock"


class TestAHomeThatWasStarted:
    @pytest.fixture
    def demo(self, tmp_path):
        home.remember(tmp_path, demo=True)
        return str(tmp_path)

    def test_is_known_again_without_the_environment(self, demo):
        assert read_settings("DEMO", "PRICE_FEED", KRAKAPP_HOME=demo) == "True simulated"

    def test_is_what_the_environment_says(self, demo):
        assert read_settings("DEMO", KRAKAPP_HOME=demo, **PRODUCTION) == "False"

    def test_is_no_demo_to_whoever_brings_a_secret_key(self, demo):
        secrets = {name: value for name, value in PRODUCTION.items() if name != "KRAKAPP_DEMO"}
        assert read_settings("DEMO", KRAKAPP_HOME=demo, **secrets) == "False"

    def test_in_production_asks_for_its_secrets(self, tmp_path):
        home.remember(tmp_path, demo=False)
        said = read_settings("DEMO", KRAKAPP_HOME=str(tmp_path))
        assert "Set SECRET_KEY in the environment" in said

    @pytest.mark.parametrize("first", [True, False])
    def test_refuses_to_become_the_other_kind(self, tmp_path, first):
        home.remember(tmp_path, demo=first)
        home.remember(tmp_path, demo=first)
        with pytest.raises(home.HomeMistaken, match="choose another KRAKAPP_HOME"):
            home.remember(tmp_path, demo=not first)

    def test_that_says_nonsense_is_named(self, tmp_path):
        (tmp_path / "kind").write_text("castle\n")
        assert "says neither demo nor production" in read_settings(
            "DEMO", KRAKAPP_HOME=str(tmp_path)
        )


class TestTheOwnersAddress:
    """Where migrations run, the settings have it; the platform's processes are told of none."""

    def test_is_known_to_whoever_is_told_nothing(self, tmp_path):
        told = read_settings("DATABASES", KRAKAPP_HOME=str(tmp_path), **PRODUCTION)
        assert home.secret(tmp_path, "database_owner") in told

    def test_is_unknown_where_it_is_said_to_be_empty(self, tmp_path):
        secret = home.secret(tmp_path, "database_owner")
        env = {"KRAKAPP_HOME": str(tmp_path), "DATABASE_OWNER_URL": "", **PRODUCTION}
        told = read_settings("DATABASES", **env)
        assert "'default'" in told
        assert "'owner'" not in told
        assert secret not in told


class TestMail:
    def test_speaks_tls_in_one_way(self):
        both = {"EMAIL_USE_TLS": "1", "EMAIL_USE_SSL": "1"}
        assert "exclude each other" in read_settings("EMAIL_HOST", **PRODUCTION | both)


class TestPrices:
    def test_have_to_be_said_in_production(self, tmp_path):
        said = read_settings("PRICE_FEED", **PRODUCTION | {"PRICE_FEED": ""})
        assert said.startswith("Set PRICE_FEED in the environment, to kraken")

    def test_are_not_made_up_in_production(self):
        said = read_settings("PRICE_FEED", **PRODUCTION | {"PRICE_FEED": "simulated"})
        assert "PRICE_FEED=simulated makes prices up" in said

    def test_come_from_a_source_that_is_there(self, tmp_path):
        said = read_settings(
            "PRICE_FEED", KRAKAPP_HOME=str(tmp_path), KRAKAPP_DEMO="1", PRICE_FEED="nyse"
        )
        assert said == "PRICE_FEED is 'nyse': it can be simulated or kraken."


class TestASlipOfThePen:
    def test_in_a_number_is_named(self):
        assert read_settings("PORT", PORT="80O0", **PRODUCTION) == (
            "PORT is '80O0': it has to be a whole number."
        )

    def test_in_a_switch_is_named(self):
        assert read_settings("PORT", **PRODUCTION | {"KRAKAPP_DEMO": "flase"}) == (
            "KRAKAPP_DEMO is 'flase': it can be 1 or 0."
        )
