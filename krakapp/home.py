"""What a home remembers: whether it is a demo's or in production, and the secrets made for it."""

import os
from contextlib import suppress
from pathlib import Path

DEMO = "demo"
PRODUCTION = "production"


class HomeMistaken(Exception):
    """A home of one kind is started as the other."""


def kind_of(home: Path) -> str | None:
    """Give what a home was started as the last time; None if it never was.

    :raises HomeMistaken: if it cannot be read, or says neither
    """
    path = home / "kind"
    try:
        kind = path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HomeMistaken(f"Cannot read {path}: {error.strerror}.") from error
    if kind not in {DEMO, PRODUCTION}:
        raise HomeMistaken(f"{path} says neither {DEMO} nor {PRODUCTION}: correct or remove it.")
    return kind


def remember(home: Path, *, demo: bool) -> None:
    """Write down what a home is, at its first start.

    :raises HomeMistaken: if it is something else
    """
    wanted = DEMO if demo else PRODUCTION
    kind = kind_of(home)
    if kind == wanted:
        return
    if kind:
        raise HomeMistaken(
            f"KRAKAPP_HOME {home} belongs to a {kind} platform, and KRAKAPP_DEMO={int(demo)} asks "
            f"for a {wanted} one: choose another KRAKAPP_HOME."
        )
    fresh = home / "kind.new"
    fresh.write_text(f"{wanted}\n")
    fresh.replace(home / "kind")


def secret(home: Path, name: str) -> str:
    """Make a secret once and keep it with the home's data; only its user can read it.

    :raises OSError: if the home cannot be written, or the secret not be read
    """
    path = home / "secrets" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(os.urandom(32).hex())
        with suppress(FileExistsError):
            os.link(fresh, path)  # atomic, and the first process to arrive wins
        fresh.unlink()
    return path.read_text()
