"""The platform as a whole, as the person who runs it sees it."""

import json
from urllib.request import urlopen

import pytest

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
            }

    @pytest.mark.parametrize("name", PROCESSES)
    def test_survives_the_kill_of_a_process(self, platform, name):
        platform.kill(name)
        platform.wait_until_well()
