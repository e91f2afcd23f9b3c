import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = re.compile(r"""(?:environ\.get|env_bool|env_list|env_secret)\(\s*"([A-Z_]+)\"""")


PAGE = (ROOT / "docs/configuration.md").read_text()


def sources():
    return [path for app in ROOT.glob("*/apps.py") for path in app.parent.rglob("*.py")]


class TestConfiguration:
    def test_is_documented_variable_by_variable(self):
        read = {name for path in sources() for name in READ.findall(path.read_text())} - {"PATH"}
        assert read
        assert read <= set(re.findall(r"`([A-Z_]{4,})`", PAGE))

    def test_documents_nothing_that_is_not_there(self):
        documented = set(re.findall(r"^\| `([A-Z_]{4,})`", PAGE, re.MULTILINE))
        everything = "".join(path.read_text() for path in sources())
        assert documented
        assert [name for name in documented if f'"{name}"' not in everything] == []


class TestAHomeDeepInTheFolders:
    def test_keeps_its_sockets_where_their_path_is_short_enough(self):
        home = "/srv/" + "a-folder-in-a-folder/" * 5 + "home"
        env = os.environ | {"KRAKAPP_HOME": home, "KRAKAPP_DEMO": "0"}
        env |= dict.fromkeys(("SECRET_KEY", "BANK_WEBHOOK_SECRET", "CARD_WEBHOOK_SECRET"), "x" * 50)
        env["PERSONAL_DATA_KEYS"] = "ab" * 32
        script = "from krakapp import settings; print(settings.RUN, settings.REDIS_URL)"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, check=True
        )
        run, redis_url = done.stdout.decode().split()
        assert len(f"{run}/.s.PGSQL.5432") < 107
        assert redis_url.startswith(f"unix://{run}/")
