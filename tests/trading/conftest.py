# Imported before Django is set up: what needs its models is imported inside.
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.trading.floor import Floor


@pytest.fixture
def friday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock on a Friday on which every market is open."""
    from common import clock  # noqa: PLC0415
    from tests import world  # noqa: PLC0415

    monkeypatch.setattr(clock, "now", lambda: world.NOW)


@pytest.fixture
def floor(db: None, friday: None) -> "Floor":
    """Open a market to knock at."""
    from tests.trading.floor import Floor  # noqa: PLC0415

    return Floor()
