from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.core.management import call_command

import market.operations
from market import gateways, queries
from market.models import ExchangeDay
from tests import world


@pytest.fixture
def calendar(db: None) -> Iterator[None]:
    """Load the exchange's calendar; no process remembers a day of another test."""
    queries._exchange_hours.cache_clear()
    market.operations.load_calendar(now=world.NOW)
    yield
    queries._exchange_hours.cache_clear()


class TestCalendar:
    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-11-25T14:29", False),
            ("2026-11-25T14:30", True),
            ("2026-11-25T20:59", True),
            ("2026-11-25T21:00", False),
            ("2026-11-26T15:00", False),  # Thanksgiving
            ("2026-11-27T17:59", True),  # and an early close after it
            ("2026-11-27T18:00", False),
            ("2026-11-28T15:00", False),  # a Saturday
            ("2027-07-05T15:00", False),  # Independence Day, kept on Monday
        ],
    )
    def test_knows_holidays_and_early_closes(
        self, calendar: None, at: str, expected: object
    ) -> None:
        assert queries.primary_is_open(datetime.fromisoformat(at).replace(tzinfo=UTC)) is expected

    def test_beyond_its_end_regular_hours_stand_in(self, calendar: None) -> None:
        thanksgiving = datetime(2030, 11, 28, 15, tzinfo=UTC)
        assert queries.primary_is_open(thanksgiving)
        assert not queries.primary_is_open(thanksgiving + timedelta(hours=7))

    def test_loading_again_follows_the_library(self, calendar: None) -> None:
        days = ExchangeDay.objects.count()
        with patch.object(gateways, "exchange_hours", return_value={}):
            market.operations.load_calendar(now=world.NOW)
        assert ExchangeDay.objects.filter(opens_at=None).count() == days == 378

    def test_is_left_alone_where_it_reaches_far_enough(
        self, calendar: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("common.clock.now", lambda: world.NOW)
        with patch.object(gateways, "exchange_hours", return_value={}) as asked:
            call_command("load_calendar", unless_days=180)
            assert not asked.called
            call_command("load_calendar", unless_days=400)
            assert asked.called
