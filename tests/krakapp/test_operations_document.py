"""The commands of docs/operations.md, in their order, as its reader types them."""

import re
import shlex

import psycopg
import pytest

from tests import servers
from tests.installation import ROOT, Installation

TEXT = (ROOT / "docs/operations.md").read_text()
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
AS_THE_OWNER = {"prepare", "backup", "restore"}


def commands() -> list[list[str]]:
    """Give what the document tells to type, command by command."""
    blocks = [block for language, block in FENCE.findall(TEXT) if language == "sh"]
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert all(line[:2] == ["python", "manage.py"] for line in lines), lines
    return [line[2:] for line in lines]


def variables() -> set[str]:
    """Name what the document tells to put into the environment."""
    [block] = [block for language, block in FENCE.findall(TEXT) if language == "ini"]
    return {line.strip().partition("=")[0] for line in block.splitlines()}


def empty_the_server(installation: Installation) -> None:
    """Lose the database, as one does who has to restore it."""
    owner = installation.theirs.owner_url.rpartition("/")[0] + "/postgres"
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute("DROP DATABASE krakapp WITH (FORCE)")


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operations")
    with servers.over_tcp(folder / "servers") as theirs:
        yield Installation(folder / "home", theirs)


def test_the_environment_is_what_an_installation_needs(installation):
    needed = set(installation.env) - {"PATH", "HOME", "KRAKEN_WS_URL"}
    assert variables() == needed


def test_every_command_does_what_it_says(installation):
    said = {}
    for command in commands():
        if command[0] == "restore":
            empty_the_server(installation)
        owner = {"DATABASE_OWNER_URL": installation.theirs.owner_url}
        env = owner if command[0] in AS_THE_OWNER else {}
        said[command[0]] = installation.manage(*command, **env)
    assert "https://" in said["create_staff"]
    assert "books are clean" in said["audit_books"]
    assert "books are clean" in said["restore"]
    assert {"backup", "check", "prepare", "replay_commands", "rotate_keys"} <= set(said)
