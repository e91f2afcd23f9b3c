from datetime import date, timedelta

import pytest

from common import clock
from kyc import queries
from kyc.models import Application
from tests import world

Status = Application.Status
NOTHING = dict.fromkeys(queries.ACTIONS, False)


def move(user, status):
    """Put an account into a state that has no operation yet."""
    Application.objects.filter(user=user).update(status=status)


@pytest.mark.django_db
class TestStanding:
    def test_of_somebody_who_never_applied_says_what_to_do(self):
        standing = queries.standing(world.customer("bob@demo.test"))
        assert (standing.status, standing.can) == ("none", NOTHING)
        assert "Verify who you are" in standing.because[0]

    def test_of_an_applicant_says_that_we_are_at_it(self):
        standing = queries.standing(world.bob())
        assert (standing.status, standing.can) == ("in_review", NOTHING)
        assert "We are checking" in standing.because[0]

    def test_of_an_active_customer_allows_everything(self):
        standing = queries.standing(world.alice())
        assert standing.status == "active"
        assert all(standing.can.values())
        assert standing.because == []

    def test_follows_the_policy_of_today(self):
        alice = world.alice()
        world.restrict("FR", "residence", "Not in France any more.")
        standing = queries.standing(alice)
        assert standing.because == ["Not in France any more."]
        assert [action for action, allowed in standing.can.items() if allowed] == [
            "close",
            "withdraw",
        ]

    def test_ignores_policy_of_other_days(self):
        alice, today = world.alice(), clock.now().date()
        world.restrict("FR", "residence", "Not yet.", since=today + timedelta(days=1))
        world.restrict("FR", "residence", "Not now.", since=date(2020, 1, 1), until=today)
        assert queries.standing(alice).can["trade"]


@pytest.mark.django_db
class TestRequire:
    def test_lets_an_active_customer_through(self):
        assert queries.require(world.alice(), "trade").can["trade"]

    def test_says_why_not_yet(self):
        with pytest.raises(queries.VerificationRequired) as refused:
            queries.require(world.bob(), "trade")
        assert refused.value.status == 403
        assert "checking your details" in refused.value.detail

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (Status.DRAFT, "VerificationRequired"),
            (Status.REJECTED, "VerificationRequired"),
            (Status.RESTRICTED, "AccountRestricted"),
            (Status.FROZEN, "AccountFrozen"),
            (Status.CLOSED, "VerificationRequired"),
        ],
    )
    def test_names_the_refusal(self, status, error):
        alice = world.alice()
        move(alice, status)
        with pytest.raises(queries.VerificationRequired) as refused:
            queries.require(alice, "trade")
        assert refused.value.code == error

    def test_leaves_the_way_out_open_to_the_restricted(self):
        alice = world.alice()
        move(alice, Status.RESTRICTED)
        assert queries.require(alice, "close")
        assert queries.require(alice, "withdraw")

    def test_refuses_who_lost_eligibility(self):
        alice = world.alice()
        world.restrict("FR", "citizenship", "Not for citizens of France.")
        with pytest.raises(queries.NotEligible, match="citizens of France"):
            queries.require(alice, "spend")
