"""What a home remembers: whether it is a demo's or in production."""

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
