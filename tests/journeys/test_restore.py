"""The drill: the database's disk is lost, and the platform comes back as it was at a moment."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from krakapp import database
from tests.journeys.conftest import Platform
from tests.journeys.mobile import Phone


@pytest.fixture
def carol(platform: Platform) -> Iterator[Phone]:
    with Phone(platform, "carol@demo.test") as carol:
        carol.sign_in()
        yield carol


def buy(carol: Phone) -> str:
    """Buy for five dollars, and wait until it is settled."""
    order = carol.order(instrument="AAPLx", side="buy", type="market", notional="5")
    assert carol.wait_until_final(order["id"])["status"] == "filled"
    carol.wait_for(
        lambda: all(
            "settled_at" in trade
            for trade in carol.get("trades")["results"]
            if trade["order_id"] == order["id"]
        )
    )
    return str(order["id"])


def possessions(carol: Phone) -> dict[str, str]:
    return {one["asset"]: one["total"] for one in carol.get("balances")}


def archive_the_log(platform: Platform) -> None:
    """Have the server archive what it has written, as it does each minute, and wait for that."""
    archive = platform.home / "backups/wal"
    with database.connect(platform.database) as owner:
        (segment,) = owner.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or ("",)
    platform.wait_for((archive / f"{segment}.gz").exists)


def test_a_lost_disk_gives_back_every_moment_since_the_backup(
    platform: Platform, carol: Phone
) -> None:
    platform.manage("backup")
    after_the_backup = buy(carol)
    had = possessions(carol)
    moment = datetime.now(tz=UTC).isoformat()
    too_late = buy(carol)
    archive_the_log(platform)

    platform.lose_power()
    shutil.rmtree(platform.home / "postgres")
    said = platform.manage("restore", "--at", moment)
    assert "books are clean" in said
    assert "replayed alike" in said

    platform.start()
    assert possessions(carol) == had
    assert carol.get(f"orders/{after_the_backup}")["status"] == "filled"
    carol.call("GET", f"orders/{too_late}", expect=404)
    buy(carol)
    assert platform.manage("audit_books")
