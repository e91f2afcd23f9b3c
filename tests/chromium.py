"""Finds the browser of the journeys, or gets it: `python -m tests.chromium`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Give the path of a Chromium that runs: the system's, or the one Playwright downloaded."""
    candidates = [path for name in NAMES if (path := shutil.which(name))]
    with sync_playwright() as playwright:
        candidates.append(playwright.chromium.executable_path)
    return next((path for path in candidates if runs(path)), None)


def runs(path: str) -> bool:
    """Say whether it is there and starts; some systems have a placeholder that does not."""
    if not Path(path).exists():
        return False
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def get() -> bool:
    """Install it: by the system's packages under root, else by Playwright's own download."""
    root = os.getuid() == 0
    if root and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, check=False)
        if find():
            return True
    download = [sys.executable, "-m", "playwright", "install", *(["--with-deps"] if root else [])]
    subprocess.run([*download, "chromium"], stdin=subprocess.DEVNULL, check=False)
    return find() is not None


if __name__ == "__main__":
    if not find() and not get():
        sys.exit("The browser journeys need Chromium: install it so that `chromium` is on PATH.")
