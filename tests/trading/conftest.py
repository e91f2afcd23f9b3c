# Imported before Django is set up: what needs its models is imported inside.
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.trading.floor import Floor


@pytest.fixture
def floor(db: None, friday: None) -> "Floor":
    """Open a market to knock at."""
    from tests.trading.floor import Floor  # noqa: PLC0415

    return Floor()
