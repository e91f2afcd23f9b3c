"""A measurement in a process of its own, on a home of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HOMES = Path(__file__).resolve().parents[2] / "var/bench"


def rows_of(name: str, *, anew: bool = False) -> list[dict[str, Any]]:
    """Run `python -m bench.<name> rows` and give the rows that its last line says.

    :param anew: begin with an empty home; else it is kept from the last time
    """
    home = HOMES / name
    if anew:
        shutil.rmtree(home, ignore_errors=True)
    env = {**os.environ, "KRAKAPP_HOME": str(home), "KRAKAPP_DEMO": "1", "RATE_LIMITS": "0"}
    env |= {"DJANGO_SETTINGS_MODULE": "krakapp.settings", "SILENCE_S": "86400"}
    command = [sys.executable, "-m", f"bench.{name}", "rows"]
    child = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)  # noqa: S603 - ours
    rows: list[dict[str, Any]] = json.loads(child.stdout.splitlines()[-1])
    return rows
