"""Orders and trades for staff to read, and the policy they propose."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

import users.operations
import users.queries
from common import clock
from common.admin import ProposedRows, ReadOnly, ReadOnlyTable, as_uuid, ask, facts, link
from common.money import USD, Amount
from instruments.models import CorporateAction
from trading import operations
from trading.forms import CancelActionForm, CorporateActionForm, HaltForm, StateForm, TierForm
from trading.models import (
    BandRule,
    Book,
    Command,
    FeeTier,
    HousePolicy,
    MarketRule,
    Order,
    Release,
    Shard,
    Snapshot,
    Trade,
)
from users.models import User
from users.operations import ProposalKind


class TradingAdmin(ReadOnlyTable):
    """A table newest first, found by a customer's e-mail address or by the id the API shows."""

    search_fields: tuple[str, ...] = ("=id",)
    search_help_text = "A customer's e-mail address, or an id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look an e-mail address or an id up by its index."""
        term = search_term.strip()
        if "@" in term:
            return self.of_customer(queryset, term), False
        if (uid := as_uuid(term)) is not None:
            return self.of_uid(queryset, uid), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, term)
        return found

    def of_customer(self, queryset: QuerySet[Any], email: str) -> QuerySet[Any]:
        """Narrow to a customer's rows."""
        raise NotImplementedError

    def of_uid(self, queryset: QuerySet[Any], uid: UUID) -> QuerySet[Any]:
        """Narrow to the row with this id, and to those that belong to it."""
        raise NotImplementedError


def dollars(units: int | None) -> str:
    """Write USD units as dollars, every decimal."""
    return "-" if units is None else str(Amount(units, USD))


def shares(base: int | None, multiplier: Decimal) -> str:
    """Write base units as shares."""
    if base is None:
        return "-"
    return f"{(Decimal(base) * multiplier).scaleb(-8).normalize():f}"


class TradeInline(ReadOnly, TabularInline):
    """The trades of an order; `fk_name` says on which side."""

    model = Trade
    extra = 0
    verbose_name_plural = "trades"
    fields = ("trade", "price", "exact_quantity", "exact_cost", "executed_at", "settled_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trade]:
        """Oldest first, as they happened."""
        rows: QuerySet[Trade] = super().get_queryset(request)
        return rows.order_by("id")

    @admin.display(description="trade")
    def trade(self, trade: Trade) -> SafeString:
        """Link the trade."""
        url = reverse("admin:trading_trade_change", args=[trade.pk])
        return format_html('<a href="{}">{}</a>', url, trade.uid)

    @admin.display(description="quantity")
    def exact_quantity(self, trade: Trade) -> str:
        """Show shares."""
        return shares(trade.quantity, trade.multiplier)

    @admin.display(description="cost")
    def exact_cost(self, trade: Trade) -> str:
        """Show dollars."""
        return dollars(trade.cost)


class BuyInline(TradeInline):
    """Trades in which the order bought."""

    fk_name = "buy_order"
    verbose_name_plural = "trades, buying"


class SellInline(TradeInline):
    """Trades in which the order sold."""

    fk_name = "sell_order"
    verbose_name_plural = "trades, selling"


class CommandInline(ReadOnly, TabularInline):
    """What the engine was told about an order."""

    model = Command
    extra = 0
    fields = ("kind", "created_at", "sequence", "result", "reason", "told")
    readonly_fields = fields

    @admin.display(description="what it was told")
    def told(self, command: Command) -> SafeString:
        """Show the terms, as the engine counts them."""
        return facts(command.payload)


class ReleaseInline(ReadOnly, TabularInline):
    """What an order gave back of its hold: dollars of a purchase, shares of a sale."""

    model = Release
    extra = 0
    fields = ("sequence", "given_back", "when")
    readonly_fields = fields

    @admin.display(description="given back")
    def given_back(self, release: Release) -> str:
        """Show dollars or shares."""
        order = release.order
        if order.side == Order.Side.BUY:
            return f"${dollars(release.amount)}"
        return shares(release.amount, order.multiplier)

    @admin.display(description="at")
    def when(self, release: Release) -> Any:
        """Show when it was available again."""
        return release.consumed_by.recorded_at if release.consumed_by else "not yet"


@admin.register(Order)
class OrderAdmin(TradingAdmin):
    """What customers asked for, and what became of it."""

    list_display = (
        "placed_at",
        "customer",
        "instrument",
        "side",
        "type",
        "asked",
        "exact_filled",
        "status",
        "uid",
    )
    list_filter = ("status", "side", "type", "venue")
    list_select_related = ("customer", "instrument")
    fields = (
        ("uid", "client_order_id"),
        ("customer", "instrument", "venue"),
        ("side", "type", "asked"),
        ("limit_price", "worst_price"),
        ("time_in_force", "expires_at", "deadline"),
        ("trigger", "trigger_price", "take_profit_price"),
        ("close_terms", "closes"),
        ("trail", "trail_percent"),
        ("limit_offset", "exact_display"),
        ("post_only", "reduce_only", "self_trade_prevention"),
        ("maker_rate", "taker_rate"),
        ("status", "reason"),
        ("placed_at", "closed_at"),
        ("exact_filled", "exact_cost", "exact_fee"),
        ("the_hold", "cash_account", "token_account"),
    )
    readonly_fields = (
        "asked",
        "exact_display",
        "exact_filled",
        "exact_cost",
        "exact_fee",
        "the_hold",
        "uid",
        "close_terms",
    )
    inlines = (BuyInline, SellInline, CommandInline, ReleaseInline)

    def of_customer(self, queryset: QuerySet[Any], email: str) -> QuerySet[Any]:
        """Give the customer's orders."""
        return queryset.filter(customer__email__istartswith=email)

    def of_uid(self, queryset: QuerySet[Any], uid: UUID) -> QuerySet[Any]:
        """Give the order."""
        return queryset.filter(uid=uid)

    @admin.display(description="asked for")
    def asked(self, order: Order) -> str:
        """Show shares, or the dollars of an order by amount."""
        if order.notional is not None:
            return f"${dollars(order.notional)}"
        return shares(order.quantity, order.multiplier)

    @admin.display(description="sells each fill at")
    def close_terms(self, order: Order) -> SafeString:
        """Show the prices at which what it buys is sold again."""
        return facts(order.close)

    @admin.display(description="shows at a time")
    def exact_display(self, order: Order) -> str:
        """Show shares."""
        return shares(order.display_quantity, order.multiplier)

    @admin.display(description="filled")
    def exact_filled(self, order: Order) -> str:
        """Show shares."""
        return shares(order.filled, order.multiplier)

    @admin.display(description="cost")
    def exact_cost(self, order: Order) -> str:
        """Show dollars."""
        return dollars(order.cost)

    @admin.display(description="fee")
    def exact_fee(self, order: Order) -> str:
        """Show dollars; a rebate is negative."""
        return dollars(order.fee)

    @admin.display(description="hold")
    def the_hold(self, order: Order) -> SafeString | str:
        """Link what was set aside for it."""
        return link(order.hold)


@admin.register(Trade)
class TradeAdmin(TradingAdmin):
    """Who met whom, at what price, and when it settled."""

    list_display = (
        "executed_at",
        "instrument",
        "price",
        "exact_quantity",
        "exact_cost",
        "buyer",
        "seller",
        "settled_at",
        "uid",
    )
    list_filter = ("venue", ("settled_at", admin.EmptyFieldListFilter))
    list_select_related = ("instrument", "buy_order__customer", "sell_order__customer")
    fields = (
        ("uid", "venue", "sequence"),
        ("instrument", "price"),
        ("exact_quantity", "multiplier", "exact_cost"),
        ("buyer", "the_buy", "exact_buy_fee"),
        ("seller", "the_sell", "exact_sell_fee"),
        ("maker_side", "held_back"),
        ("executed_at", "settled_at"),
        "the_journal",
    )
    readonly_fields = (
        "uid",
        "exact_quantity",
        "exact_cost",
        "exact_buy_fee",
        "exact_sell_fee",
        "buyer",
        "seller",
        "the_buy",
        "the_sell",
        "the_journal",
    )

    def of_customer(self, queryset: QuerySet[Any], email: str) -> QuerySet[Any]:
        """Give the trades in which the customer bought or sold."""
        theirs = Order.objects.filter(customer__email__istartswith=email).values("id")
        return queryset.filter(Q(buy_order__in=theirs) | Q(sell_order__in=theirs))

    def of_uid(self, queryset: QuerySet[Any], uid: UUID) -> QuerySet[Any]:
        """Give the trade, or the trades of the order."""
        return queryset.filter(Q(uid=uid) | Q(buy_order__uid=uid) | Q(sell_order__uid=uid))

    @admin.display(description="quantity", ordering="quantity")
    def exact_quantity(self, trade: Trade) -> str:
        """Show shares."""
        return shares(trade.quantity, trade.multiplier)

    @admin.display(description="cost", ordering="cost")
    def exact_cost(self, trade: Trade) -> str:
        """Show dollars."""
        return dollars(trade.cost)

    @admin.display(description="buyer's fee")
    def exact_buy_fee(self, trade: Trade) -> str:
        """Show dollars; a rebate is negative."""
        return dollars(trade.buy_fee)

    @admin.display(description="seller's fee")
    def exact_sell_fee(self, trade: Trade) -> str:
        """Show dollars; a rebate is negative."""
        return dollars(trade.sell_fee)

    @admin.display(description="buyer")
    def buyer(self, trade: Trade) -> str:
        """Name the buyer; the house has no customer."""
        return str(trade.buy_order.customer or "house")

    @admin.display(description="seller")
    def seller(self, trade: Trade) -> str:
        """Name the seller; the house has no customer."""
        return str(trade.sell_order.customer or "house")

    @admin.display(description="buy order")
    def the_buy(self, trade: Trade) -> SafeString | str:
        """Link the order that bought."""
        return link(trade.buy_order)

    @admin.display(description="sell order")
    def the_sell(self, trade: Trade) -> SafeString | str:
        """Link the order that sold."""
        return link(trade.sell_order)

    @admin.display(description="journal")
    def the_journal(self, trade: Trade) -> SafeString | str:
        """Link the journal that settled it, by its key."""
        if trade.settled_at is None:
            return "not settled yet"
        url = reverse("admin:ledger_journal_changelist")
        return format_html('<a href="{}?q=trade:{}">trade:{}</a>', url, trade.uid, trade.uid)


@admin.register(Command)
class CommandAdmin(TradingAdmin):
    """The engine's log."""

    list_display = ("id", "shard", "kind", "order", "created_at", "sequence", "result", "reason")
    list_filter = ("kind", "result", "shard")
    list_select_related = ("shard", "order")
    search_fields = ("=id", "=sequence")
    exclude = ("payload",)
    readonly_fields = ("told",)
    raw_id_fields = ("order",)

    @admin.display(description="what it was told")
    def told(self, command: Command) -> SafeString:
        """Show the terms, as the engine counts them."""
        return facts(command.payload)

    def of_customer(self, queryset: QuerySet[Any], email: str) -> QuerySet[Any]:
        """Give the commands about the customer's orders."""
        return queryset.filter(order__customer__email__istartswith=email)

    def of_uid(self, queryset: QuerySet[Any], uid: UUID) -> QuerySet[Any]:
        """Give the commands about the order."""
        return queryset.filter(order__uid=uid)


@admin.register(Book)
class BookAdmin(ReadOnly, ModelAdmin):
    """The state of each market."""

    list_display = ("instrument", "shard", "state", "tier", "last_price", "last_trade_at")
    list_filter = ("state", "tier", "shard")
    list_select_related = ("instrument", "shard")
    search_fields = ("instrument__symbol", "instrument__name")
    ordering = ("instrument__symbol",)
    actions = None
    actions_detail = ("halt", "change_state", "change_tier", "corporate_action")
    exclude = ("engine_state",)
    readonly_fields = ("of_the_engine",)

    @admin.display(description="as the engine has it")
    def of_the_engine(self, book: Book) -> SafeString:
        """Show the engine's state; its prices are in ticks."""
        return facts(book.engine_state)

    def has_halt_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may halt markets."""
        return request.user.has_perm("trading.halt_market")

    def has_steer_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose how a market goes on."""
        return users.queries.may_propose(request.user, operations.CHANGE_STATE.name)

    @action(description="Halt now", url_path="halt", permissions=["halt"])  # type: ignore[untyped-decorator]
    def halt(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Stop the market at once."""

        def do(book: Book, words: dict[str, Any]) -> str:
            actor, now = as_user(request), clock.now()
            operations.halt_market(book=book, actor=actor, now=now, **words)
            return "The engine has been told; the state follows as soon as it has."

        return self._ask(request, object_id, HaltForm, do)

    @action(description="Change state", url_path="state", permissions=["steer"])  # type: ignore[untyped-decorator]
    def change_state(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to open, restrict or close the market."""
        return self._propose(request, object_id, StateForm, operations.CHANGE_STATE)

    @action(description="Change tier", url_path="tier", permissions=["steer"])  # type: ignore[untyped-decorator]
    def change_tier(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose another width of price bands for the market."""
        return self._propose(request, object_id, TierForm, operations.CHANGE_TIER)

    @action(description="Corporate action", url_path="action", permissions=["steer"])  # type: ignore[untyped-decorator]
    def corporate_action(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose a split or a reinvested dividend."""
        return self._propose(request, object_id, CorporateActionForm, operations.CORPORATE_ACTION)

    def _propose(
        self, request: HttpRequest, object_id: int, form: Any, kind: ProposalKind
    ) -> HttpResponse:
        """Ask how and why, and let another person decide."""

        def do(book: Book, words: dict[str, Any]) -> str:
            why = words.pop("reason")
            return propose(request, kind, {"symbol": book.instrument.symbol, **words}, why)

        return self._ask(request, object_id, form, do)

    def _ask(self, request: HttpRequest, object_id: int, form: Any, do: Any) -> HttpResponse:
        """Ask how and why, beside what the market is now."""
        book = get_object_or_404(Book.objects.select_related("instrument"), pk=object_id)
        instrument = book.instrument
        multiplier = f"{instrument.multiplier.normalize():f}"
        return ask(
            request,
            self,
            form=form(request.POST or None, initial={"state": book.state, "tier": book.tier}),
            title=form.title,
            facts=[
                f"{instrument.symbol}, {instrument.name}",
                f"{book.get_state_display()}, tier {book.tier}, multiplier {multiplier}",
            ],
            back=reverse("admin:trading_book_change", args=[object_id]),
            do=lambda words: do(book, words),
        )


def as_user(request: HttpRequest) -> User:
    """Give who is signed in."""
    assert isinstance(request.user, User)
    return request.user


def propose(request: HttpRequest, kind: ProposalKind, payload: dict[str, Any], why: str) -> str:
    """Propose something, and say so."""
    users.operations.propose(
        kind=kind.name, payload=payload, actor=as_user(request), reason=why, now=clock.now()
    )
    return "Proposed: another person decides."


class PolicyAdmin(ProposedRows):
    """Dated rows of policy: staff propose the next, and none is changed or deleted."""

    kind: ProposalKind

    def may_propose(self, request: HttpRequest) -> bool:
        """Let those propose a row whose role does."""
        return users.queries.may_propose(request.user, self.kind.name)

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose a row."""
        why = words.pop("why")
        return propose(request, self.kind, words, why)


@admin.register(BandRule)
class BandRuleAdmin(PolicyAdmin):
    """How far trades may be from the reference price."""

    kind = operations.SET_BANDS
    list_display = ("since", "tier", "below_usd", "width", "after_s", "pause_s")
    ordering = ("-since", "tier", "below_usd")


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnlyTable):
    """Events that change multipliers, and how far each is."""

    list_display = (
        "instrument",
        "kind",
        "event",
        "exact_before",
        "exact_after",
        "effective_at",
        "status",
    )
    list_display_links = ("instrument", "event")
    list_filter = ("status", "kind")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "event")
    actions_detail = ("cancel",)
    fields = (
        ("instrument", "kind", "event"),
        ("ratio_to", "ratio_from"),
        ("net_amount", "reinvestment_price"),
        ("exact_before", "exact_after"),
        ("scheduled_at", "effective_at"),
        ("status", "state_before"),
        ("halted_at", "ordered_at", "done_at"),
        ("the_proposal", "uid"),
    )
    readonly_fields = ("exact_before", "exact_after", "the_proposal", "uid")

    @admin.display(description="multiplier before")
    def exact_before(self, event: CorporateAction) -> str:
        """Show it without the zeros at its end."""
        return f"{event.multiplier_before.normalize():f}"

    @admin.display(description="after")
    def exact_after(self, event: CorporateAction) -> str:
        """Show it without the zeros at its end."""
        return f"{event.multiplier_after.normalize():f}"

    @admin.display(description="proposal")
    def the_proposal(self, event: CorporateAction) -> SafeString | str:
        """Link who decided on it."""
        return link(event.proposal)

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may call it off."""
        return request.user.has_perm("instruments.cancel_corporateaction")

    @action(description="Call off now", url_path="cancel", permissions=["cancel"])  # type: ignore[untyped-decorator]
    def cancel(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Call it off before its time."""
        event = get_object_or_404(CorporateAction, pk=object_id)

        def do(words: dict[str, Any]) -> str:
            operations.cancel_corporate_action(
                action=event, actor=as_user(request), now=clock.now(), **words
            )
            return "It is called off. A market that it halted is opened by a proposal."

        return ask(
            request,
            self,
            form=CancelActionForm(request.POST or None),
            title=CancelActionForm.title,
            facts=[str(event)],
            back=reverse("admin:instruments_corporateaction_change", args=[object_id]),
            do=do,
        )


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyTable):
    """The moments from which the engine's log can be run again."""

    list_display = ("taken_at", "shard", "sequence", "engine_version", "state_hash")
    list_select_related = ("shard",)
    exclude = ("state",)


@admin.register(Shard)
class ShardAdmin(ReadOnly, ModelAdmin):
    """Where each engine stands."""

    list_display = ("name", "epoch", "sequence", "priority")
    ordering = ("name",)


@admin.register(FeeTier)
class FeeTierAdmin(PolicyAdmin):
    """What trading costs."""

    kind = operations.SET_FEES
    list_display = ("since", "min_volume_usd", "maker_rate", "taker_rate")
    ordering = ("-since", "min_volume_usd")


@admin.register(MarketRule)
class MarketRuleAdmin(PolicyAdmin):
    """What bounds an order."""

    kind = operations.SET_MARKET_RULE
    list_display = ("since", "collar_open", "collar_closed", "reference_max_age_s")
    ordering = ("-since",)


@admin.register(HousePolicy)
class HousePolicyAdmin(PolicyAdmin):
    """How the house quotes and hedges."""

    kind = operations.SET_HOUSE_POLICY
    list_display = ("since", "floor_bp", "extended_bp", "weekend_bp", "sizes_usd", "skew")
    ordering = ("-since",)
