"""A card against a model of a few lines: whatever the network says, in any order, both agree."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

import ledger.queries
import spending.operations
from common.errors import DomainError
from common.invariants import find_breaks
from common.money import USD, Amount
from spending import gateways, queries
from spending.models import Authorization
from tests import world
from tests.spending import shop
from trading.models import Trade

CENT = 10_000
AMOUNTS = st.integers(1, 6_000).map(lambda cents: cents * CENT)
PRICE = 100 * 10**6
MOST_LOST_A_SALE = 4  # units: a sale is of whole base units, and its value is rounded down


def said(units: int) -> str:
    return f"{Amount(units, USD).decimal:.2f}"


@dataclass(frozen=True)
class Model:
    """Units of dollars; `asked` is what is pending of each authorization, by the network's id."""

    cash: int = 0
    owed: int = 0
    frozen: bool = False
    asked: tuple[tuple[str, int], ...] = ()

    @property
    def free(self) -> int:
        """What neither a purchase nor a debt has set aside."""
        return max(0, self.cash - sum(pending for _, pending in self.asked) - self.owed)

    @property
    def spare(self) -> int:
        """What no purchase has set aside."""
        return self.cash - sum(pending for _, pending in self.asked)

    def pending(self, name: str) -> int:
        return dict(self.asked)[name]

    def change(self, name: str, units: int) -> "Model":
        changed = dict(self.asked)
        changed[name] = changed.get(name, 0) + units
        return replace(self, asked=tuple(changed.items()))

    def take(self, units: int) -> "Model":
        """Pay a merchant from what is spare; the rest is owed, and freezes the card."""
        paid = min(units, self.spare)
        short = units - paid
        return replace(
            self,
            cash=self.cash - paid,
            owed=self.owed + short,
            frozen=self.frozen or bool(short),
        )

    def recover(self) -> "Model":
        paid = min(self.owed, self.spare)
        return replace(self, cash=self.cash - paid, owed=self.owed - paid)


class CardMachine(RuleBasedStateMachine):
    """Alice's card pays by cash, and by shares too in half of the runs."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.alice = world.alice()
        self.model = Model()
        self.worth = 0  # of what she has less what she owes, fees and rounding aside

    def teardown(self) -> None:
        try:
            connection.check_constraints()  # those that a commit would have checked
            assert not list(find_breaks([*ledger.queries.CHECKS, *queries.CHECKS]))
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @initialize(shares=st.booleans(), cash=AMOUNTS)
    def open(self, *, shares: bool, cash: int) -> None:
        self.shares = shares
        if shares:
            of = shop.hold_shares(self.alice, "AAPLx", "1", price="100")
            shop.quote(of, ("100", "1000"), price="100")
            self.card = shop.card(self.alice, ("USD", "0"), ("AAPLx", "0"))
            self.worth = PRICE
        else:
            self.card = shop.card(self.alice)
        self.deposit(cash)

    def send(self, kind: str, **facts: Any) -> dict[str, Any]:
        self.card.refresh_from_db()
        return shop.send(kind, self.card, **facts)

    def pick(self, data: Any) -> str:
        return data.draw(st.sampled_from([name for name, _ in self.model.asked]), label="which")

    def refused(self, act: Callable[[], Any]) -> None:
        with pytest.raises(DomainError) as refusal:
            act()
        assert refusal.value.code == "NothingPending"

    # What happens

    @rule(units=AMOUNTS)
    def deposit(self, units: int) -> None:
        world.fund(self.alice, said(max(units, 10**6)))
        self.worth += max(units, 10**6)
        self.model = replace(self.model, cash=self.model.cash + max(units, 10**6))

    @rule(units=AMOUNTS, partial=st.booleans())
    def ask(self, units: int, *, partial: bool) -> None:
        told = self.send(gateways.REQUESTED, amount=said(units), partial_allowed=partial)
        if told["decision"] == "declined":
            assert self.model.frozen or self.model.owed or self.shares or units > self.model.free
            return
        asked = Authorization.objects.get(uid=told["authorization"])
        assert not self.model.frozen
        assert not self.model.owed
        assert partial or asked.authorized_units == units
        self.model = self.model.change(asked.external_id, asked.authorized_units)
        if not self.shares:
            assert self.model.spare >= 0

    @precondition(lambda self: self.model.asked)
    @rule(data=st.data(), units=AMOUNTS)
    def ask_for_more(self, data: Any, units: int) -> None:
        name = self.pick(data)
        facts = {"authorization": name, "amount": said(units)}
        if not self.model.pending(name):
            self.refused(lambda: self.send(gateways.INCREMENTED, **facts))
            return
        told = self.send(gateways.INCREMENTED, **facts)
        if told["decision"] == "declined":
            assert self.model.frozen or self.model.owed or self.shares or units > self.model.free
            return
        assert not self.model.frozen
        assert not self.model.owed
        self.model = self.model.change(name, units)

    @precondition(lambda self: self.model.asked)
    @rule(data=st.data(), units=st.none() | AMOUNTS, expire=st.booleans())
    def give_back(self, data: Any, units: int | None, *, expire: bool) -> None:
        name = self.pick(data)
        facts: dict[str, Any] = {"authorization": name}
        if units is not None and not expire:
            facts["amount"] = said(units)
        kind = gateways.EXPIRED if expire else gateways.REVERSED
        pending = self.model.pending(name)
        if not pending:
            self.refused(lambda: self.send(kind, **facts))
            return
        self.send(kind, **facts)
        back = pending if expire or units is None else min(units, pending)
        self.model = self.model.change(name, -back)

    @precondition(lambda self: self.model.asked)
    @rule(data=st.data(), units=st.none() | AMOUNTS, final=st.booleans(), twice=st.booleans())
    def clear(self, data: Any, units: int | None, *, final: bool, twice: bool) -> None:
        """Take some, all or more of an authorization, live or done; perhaps tell it twice."""
        name = self.pick(data)
        pending = self.model.pending(name)
        if units is None and not pending:
            self.refused(lambda: self.send(gateways.CLEARED, authorization=name, final=final))
            return
        facts: dict[str, Any] = {"authorization": name, "final": final}
        facts["id"] = f"evt-clear-{next(shop.numbers)}"
        if units is not None:
            facts["amount"] = said(units)
        for _ in range(1 + twice):
            self.send(gateways.CLEARED, **facts)
        taken = pending if units is None else units
        aside = min(taken, pending)
        self.worth -= taken
        self.model = self.model.change(name, -aside).take(taken)
        if final and aside:
            self.model = self.model.change(name, aside - pending)

    @rule(units=AMOUNTS)
    def take_by_force(self, units: int) -> None:
        self.send(gateways.CLEARED, amount=said(units))
        self.worth -= units
        self.model = self.model.take(units)

    @rule(units=AMOUNTS)
    def refund(self, units: int) -> None:
        self.send(gateways.REFUNDED, amount=said(units))
        self.worth += units
        self.model = replace(self.model, cash=self.model.cash + units)
        if self.model.owed:
            self.model = self.model.recover()

    @rule()
    def recover(self) -> None:
        spending.operations.recover_debts(now=world.NOW)
        self.model = self.model.recover()

    @precondition(lambda self: self.model.frozen)
    @rule()
    def thaw(self) -> None:
        self.card.refresh_from_db()
        thaw = lambda: spending.operations.unfreeze_card(  # noqa: E731
            card=self.card, actor=world.sam(), now=world.NOW
        )
        if queries.debt_of(self.alice):
            with pytest.raises(spending.operations.CardOwes):
                thaw()
            return
        thaw()
        self.model = replace(self.model, frozen=False)

    # What is always so

    @invariant()
    def each_purchase_has_set_aside_what_the_model_says(self) -> None:
        names = dict(self.model.asked)
        pending = {
            one.external_id: one.pending_units
            for one in Authorization.objects.filter(external_id__in=names)
        }
        assert pending == names

    @invariant()
    def cash_and_debt_are_the_models(self) -> None:
        if self.shares:
            self.follow()
        cash = self.model.cash
        assert world.balance(self.alice) == Amount(cash, USD).decimal
        assert world.available(self.alice) == Amount(self.model.free, USD).decimal
        assert queries.debt_of(self.alice) == self.model.owed

    def follow(self) -> None:
        """Take over what sales of shares made of cash and debt: those are held to their worth."""
        self.card.refresh_from_db()
        self.model = replace(
            self.model,
            cash=int(world.balance(self.alice) * 10**6),
            owed=queries.debt_of(self.alice),
            frozen=self.card.status == "frozen",
        )

    @invariant()
    def nobody_gains_or_loses_but_fees(self) -> None:
        shares = int(world.balance(self.alice, "AAPLx") * PRICE) if self.shares else 0
        has = int(world.balance(self.alice) * 10**6) + shares - queries.debt_of(self.alice)
        sales = list(Trade.objects.filter(sell_order__client_order_id__startswith="house:card:"))
        undone = list(Trade.objects.filter(undone_card_sale__isnull=False))
        fees = sum(one.sell_fee for one in sales) + sum(one.buy_fee for one in undone)
        lost = self.worth - fees - has
        assert 0 <= lost <= MOST_LOST_A_SALE * (len(sales) + len(undone)), lost


@pytest.mark.django_db(transaction=True)
def test_a_card_does_what_the_model_does() -> None:
    run_machine(CardMachine, settings=settings(max_examples=10, stateful_step_count=25))
