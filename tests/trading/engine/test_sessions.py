"""Trading hours as the log's clock keeps them, and the prices that somebody waits for."""

import pytest

from tests.trading.engine.venue import SHARE, Venue, fills, order_of

DAY = [[100, 200], [300, 400]]


@pytest.fixture
def venue() -> Venue:
    return Venue()


def at(venue: Venue, moment: int) -> Venue:
    """Let the next command come at a moment."""
    venue.at = moment - 1
    return venue


class TestSessions:
    @pytest.fixture
    def listed(self, venue) -> Venue:
        venue.apply("hours", instruments=[1], spans=DAY)
        return venue

    @pytest.mark.parametrize(
        ("moment", "reason"),
        [
            (99, "instrument_closed"),
            (100, None),
            (199, None),
            (200, "instrument_closed"),
            (300, None),
            (400, "instrument_closed"),
            (9_000, "instrument_closed"),
        ],
    )
    def test_open_and_close_by_themselves(self, listed, moment, reason):
        assert at(listed, moment).buy(1, 1000).reason == reason

    def test_orders_rest_while_it_is_closed_and_may_be_cancelled(self, listed):
        at(listed, 150).buy(1, 1000)
        listed.buy(1, 999)
        assert at(listed, 250).apply("cancel", order=1).result == "accepted"
        assert listed.book()[0] == [(999, SHARE)]
        assert fills(at(listed, 300).sell(1, 999)) == [(2, 999, SHARE)]

    def test_the_engine_says_when_the_next_change_is_due_also_after_a_restart(self, listed):
        for due in (100, 200, 300, 400):
            assert listed.engine.next_due() == due
            outcome = at(listed, due).apply("clock")
            assert [state.closed for state in outcome.instruments] == [due in {200, 400}]
            listed.restart()
        assert listed.engine.next_due() is None

    def test_a_stop_that_was_reached_meanwhile_fires_at_the_opening(self, listed):
        at(listed, 150).buy(1, 900)
        listed.sell(1, 890, type="stop-loss", trigger="mark", trigger_price=950)
        assert not at(listed, 250).apply("mark", prices={"1": 940}).trades
        assert fills(at(listed, 300).apply("clock")) == [(1, 900, SHARE)]

    def test_new_hours_replace_the_old_and_none_means_always(self, listed):
        assert at(listed, 250).apply("hours", instruments=[1, 7], spans=[[240, 260]]).result
        assert listed.buy(1, 1000).result == "accepted"
        assert at(listed, 350).buy(1, 1000).reason == "instrument_closed"
        listed.apply("hours", instruments=[1], spans=None)
        assert listed.buy(1, 1000).result == "accepted"
        assert listed.engine.next_due() is None

    @pytest.mark.parametrize("spans", [[[5, 5]], [[9, 8]], [[1, 5], [4, 9]], [[1, 5], [5, 9]]])
    def test_spans_that_are_in_no_order_are_poisonous(self, listed, spans):
        assert listed.apply("hours", instruments=[1], spans=spans).reason == "poisonous"


class TestMultiplier:
    def test_what_was_counted_by_another_one_is_refused(self, venue):
        venue.apply("multiplier", instrument=1, multiplier_e18=4 * 10**18)
        assert venue.sell(1, 1000, multiplier_e18=10**18).reason == "multiplier_changed"
        stop = {"type": "stop-loss", "trigger_price": 900, "multiplier_e18": 10**18}
        assert venue.sell(1, 1000, **stop).reason == "multiplier_changed"
        outcome = venue.quote(multiplier_e18=10**18, bid_budget_increase=0, ask_budget_increase=5)
        assert outcome.reason == "multiplier_changed"
        assert outcome.releases[0].amount == 5
        assert venue.sell(1, 1000, multiplier_e18=4 * 10**18).result == "accepted"


class TestWantedMarks:
    def wanted(self, venue: Venue, price: int) -> bool:
        return bool(venue.engine.marks_wanted({1: price, 7: 5}))

    def test_nobody_waits_for_a_price_in_an_empty_market(self, venue):
        assert not self.wanted(venue, 1000)

    def test_an_armed_trigger_by_mark_waits_for_every_change(self, venue):
        venue.apply("mark", prices={"1": 1000})
        venue.sell(1, 900, type="stop-loss", trigger="last", trigger_price=950)
        assert not self.wanted(venue, 1001)
        order = venue.sell(1, 900, type="stop-loss", trigger="mark", trigger_price=950).orders[0]
        assert self.wanted(venue, 1001)
        assert not self.wanted(venue, 1000)
        assert order_of(venue.apply("cancel", order=order.id), order.id).closed_at
        assert not self.wanted(venue, 1001)

    def test_a_band_waits_for_the_first_price_and_for_a_tenth_of_its_width(self, venue):
        venue.apply("band", instrument=1, band_ppm=50_000)
        assert self.wanted(venue, 1000)
        venue.apply("mark", prices={"1": 1000})
        assert not self.wanted(venue, 1004)
        assert self.wanted(venue, 1005)
        assert self.wanted(venue, 995)

    def test_a_band_waits_for_what_tells_inside_from_outside(self, venue):
        venue.apply("band", instrument=1, band_ppm=50_000)
        venue.apply("mark", prices={"1": 1000})
        venue.sell(1, 1050)
        venue.buy(1, 1050)
        assert not self.wanted(venue, 1001)
        assert self.wanted(venue, 999)
