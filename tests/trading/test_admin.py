from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import IntegrityError
from django.test import Client, RequestFactory

from ledger.models import Account, Hold, Journal
from tests import world
from tests.trading.floor import Floor
from trading.models import BandRule, FeeTier, HousePolicy, MarketRule, Order, Trade
from users.models import Proposal, User

READ_ONLY = [
    *(f"ledger.{name}" for name in ("Asset", "Account", "Journal", "Hold")),
    *(f"trading.{name}" for name in ("Order", "Trade", "Command", "Book", "Shard")),
]


@pytest.fixture
def desk(db: None) -> Client:
    """The admin as the superuser sees it: who may do everything may still not touch the books."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin@demo.test", world.PASSWORD))
    return client


@pytest.fixture
def bought(floor: Floor) -> Order:
    alice = world.alice()
    world.fund(alice, "1000")
    floor.offer()
    order = floor.place(alice, "buy", notional="25")
    floor.run()
    order.refresh_from_db()
    return order


def url(model: Any, page: str = "changelist", *args: Any) -> str:
    meta = model._meta
    parts = {"changelist": "", "add": "add/", "change": f"{args[0] if args else ''}/change/"}
    return f"/admin/{meta.app_label}/{meta.model_name}/{parts[page]}"


class TestMoney:
    @pytest.mark.parametrize("label", READ_ONLY)
    def test_is_read_only_for_everybody(self, desk: Client, label: str) -> None:
        model = apps.get_model(label)
        request = RequestFactory().get("/")
        request.user = User.objects.get(email="admin@demo.test")
        door = admin.site.get_model_admin(model)
        assert not door.has_add_permission(request)
        assert not door.has_change_permission(request)
        assert not door.has_delete_permission(request)
        assert desk.get(url(model, "add")).status_code == 403

    def test_pages_show_what_happened(self, desk: Client, bought: Order) -> None:
        trade = Trade.objects.get()
        journal = Journal.objects.get(key=f"trade:{trade.uid}")
        for row in (bought, trade, journal, bought.hold, bought.cash_account):
            assert row is not None
            answer = desk.get(url(type(row), "change", row.pk))
            assert answer.status_code == 200
            assert b'name="_save"' not in answer.content
        assert str(trade.uid) in desk.get(url(Order, "change", bought.pk)).content.decode()

    @pytest.mark.parametrize("label", READ_ONLY)
    def test_lists_open(self, desk: Client, bought: Order, label: str) -> None:
        assert desk.get(url(apps.get_model(label))).status_code == 200


class TestSearch:
    @pytest.mark.parametrize("model", [Order, Trade, Account, Hold, Journal])
    def test_finds_a_customer_by_email(self, desk: Client, bought: Order, model: Any) -> None:
        answer = desk.get(url(model), {"q": "alice@demo.test"})
        assert answer.context["cl"].result_count > 0
        nobody = desk.get(url(model), {"q": "nobody@demo.test"})
        assert nobody.context["cl"].result_count == 0

    def test_finds_by_the_id_the_customer_quotes(self, desk: Client, bought: Order) -> None:
        for model in (Order, Trade):
            answer = desk.get(url(model), {"q": str(bought.uid)})
            assert answer.context["cl"].result_count == 1
        journal = Journal.objects.latest("id")
        answer = desk.get(url(Journal), {"q": str(journal.uid)})
        assert answer.context["cl"].result_count == 1

    @pytest.mark.parametrize("model", [Order, Trade, Account, Hold, Journal])
    def test_survives_nonsense(self, desk: Client, model: Any) -> None:
        for query in ("'", "9" * 40, "%", "½"):
            assert desk.get(url(model), {"q": query}).status_code == 200

    def test_goes_from_an_account_to_its_journals_and_holds(
        self, desk: Client, bought: Order
    ) -> None:
        account = bought.cash_account_id
        journals = desk.get(url(Journal), {"account": account})
        assert journals.context["cl"].result_count == 2
        holds = desk.get(url(Hold), {"account__id__exact": account})
        assert holds.context["cl"].result_count == 1


class TestPolicy:
    FEES = {
        "since": "2099-01-01",
        "min_volume_usd": "0",
        "maker_rate": "-0.0001",
        "taker_rate": "0.001",
        "why": "Cheaper for everybody.",
    }

    def propose(self, desk: Client, **other: str) -> Any:
        desk.force_login(world.oscar())
        return desk.post(url(FeeTier, "add"), {**self.FEES, **other})

    def approve(self, desk: Client, person: User) -> str:
        desk.force_login(person)
        page = f"/admin/users/proposal/{Proposal.objects.latest('id').pk}/approve/"
        return desk.post(page, follow=True).content.decode()

    def test_is_set_by_two(self, desk: Client) -> None:
        assert self.propose(desk).status_code == 302
        assert not FeeTier.objects.filter(since="2099-01-01").exists()
        shown = desk.get(f"/admin/users/proposal/{Proposal.objects.get().pk}/change/")
        assert "Taker rate: 0.001000 → 0.001" in shown.content.decode()
        self.approve(desk, world.olivia())
        assert FeeTier.objects.filter(since="2099-01-01").exists()

    def test_is_not_set_by_one_not_even_a_superuser(self, desk: Client) -> None:
        assert desk.post(url(FeeTier, "add"), self.FEES).status_code == 302
        self.approve(desk, User.objects.get(email="admin@demo.test"))
        assert not FeeTier.objects.filter(since="2099-01-01").exists()

    def test_never_begins_in_the_past(self, desk: Client) -> None:
        answer = self.propose(desk, since="2026-01-02")
        assert "begins today or later" in answer.content.decode()
        assert not Proposal.objects.exists()

    def test_is_refused_where_another_came_first(self, desk: Client) -> None:
        self.propose(desk)
        terms = {"maker_rate": 0, "taker_rate": "0.002"}
        FeeTier.objects.create(since="2098-01-01", min_volume_usd=0, **terms)
        assert "has changed since it was proposed" in self.approve(desk, world.olivia())
        assert not FeeTier.objects.filter(since="2099-01-01").exists()

    @pytest.mark.parametrize(
        "terms",
        [
            {"maker_rate": "-0.002"},
            {"min_volume_usd": "7", "maker_rate": "-0.0008", "taker_rate": "0.0009"},
            {"min_volume_usd": "7", "maker_rate": "0", "taker_rate": "0.0001"},
            {"taker_rate": "1"},
        ],
    )
    def test_of_fees_gives_nobody_more_than_another_pays(
        self, desk: Client, terms: dict[str, str]
    ) -> None:
        self.propose(desk, **terms)
        assert not Proposal.objects.exists()

    def test_of_fees_looks_at_tiers_that_begin_later(self, desk: Client) -> None:
        later = {"since": "2099-06-01", "min_volume_usd": 7, "maker_rate": 0}
        FeeTier.objects.create(taker_rate="0.00005", **later)
        answer = self.propose(desk)
        assert "rebate no more than that" in answer.content.decode()
        assert not Proposal.objects.exists()

    @pytest.mark.parametrize("terms", [{"refill_s": 0}, {"card_intervals_s": [60, 0, 86_400]}])
    def test_of_the_house_bounds_cards_over_some_time(self, terms: dict[str, Any]) -> None:
        policy = HousePolicy.objects.latest("since")
        for name, value in terms.items():
            setattr(policy, name, value)
        with pytest.raises(IntegrityError, match="house_intervals_positive"):
            policy.save()

    @pytest.mark.parametrize(
        "terms",
        [{"floor_bp": [0, 1, 2, 3, 4]}, {"weekend_bp": [5] * 4 + [0]}, {"hedge_slippage_bp": 9999}],
    )
    def test_of_the_house_gives_nothing_away(self, terms: dict[str, Any]) -> None:
        policy = HousePolicy.objects.latest("since")
        for name, value in terms.items():
            setattr(policy, name, value)
        with pytest.raises(IntegrityError, match="house_gives_nothing_away"):
            policy.save()

    @pytest.mark.parametrize("model", [FeeTier, BandRule, HousePolicy, MarketRule])
    def test_in_force_is_changed_by_nobody(self, desk: Client, model: Any) -> None:
        row = model.objects.first()
        assert desk.get(url(model)).status_code == 200
        assert desk.get(url(model, "add")).status_code == 200
        assert desk.post(url(model, "change", row.pk), self.FEES).status_code == 403
        assert (
            desk.post(f"/admin/trading/{model._meta.model_name}/{row.pk}/delete/").status_code
            == 403
        )
