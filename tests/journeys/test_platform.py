"""The platform as a whole, as the person who runs it sees it."""

import json
import os
import re
import subprocess
from urllib.request import urlopen

import pytest

from tests.journeys.conftest import ROOT

README = (ROOT / "README.md").read_text()

PROCESSES = ("web", "engine", "worker", "beat", "feed", "liquidity")


class TestThePlatform:
    def test_greets_a_stranger(self, platform, page):
        page.goto("/")
        assert "KrakApp" in page.title()

    def test_says_how_each_part_is(self, platform):
        with urlopen(f"{platform.base_url}/healthz") as answer:
            assert json.load(answer) == {
                "status": "ok",
                "database": "ok",
                "redis": "ok",
                "engine": "ok",
                "worker": "ok",
                "feed": "ok",
                "liquidity": "ok",
            }

    @pytest.mark.parametrize("name", PROCESSES)
    def test_survives_the_kill_of_a_process(self, platform, name):
        platform.kill(name)
        platform.wait_until_well()


class TestASecondTerminal:
    @pytest.mark.parametrize(
        "command", re.findall(r"^\.venv/bin/python manage\.py \w+.*", README, re.MULTILINE)
    )
    def test_runs_what_the_readme_says(self, platform, command):
        told = {"KRAKAPP_HOME": str(platform.home), "PORT": str(platform.port)}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | told,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_is_told_how_to_find_this_copy(self, platform):
        said = (platform.home / "up.log").read_text()
        assert f"export KRAKAPP_HOME={platform.home} PORT={platform.port}\n" in said
        assert "manage.py audit_books" in said
