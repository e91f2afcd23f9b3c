"""Cards and what they paid, for staff to read; freezing is the one thing they may do."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action

import users.operations
import users.queries
from common import clock
from common.admin import ReadOnly, ReadOnlyTable, as_uuid, ask, facts, link
from spending import operations, presenters, queries
from spending.forms import ForgiveForm, ReasonForm
from spending.models import (
    Authorization,
    Card,
    CardEvent,
    CardMovement,
    CardSale,
    DebtReduction,
    FundingSource,
)
from users.models import User


class SpendingAdmin(ReadOnlyTable):
    """A table newest first, found by a customer's e-mail address or an id."""

    search_fields: tuple[str, ...] = ("=id",)
    search_help_text = "A customer's e-mail address, or an id"
    owner_path = "card__user__email"
    id_paths: tuple[str, ...] = ("uid",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Read an e-mail address as its owner's rows, anything else as an id."""
        term = search_term.strip()
        if "@" in term:
            return queryset.filter(**{f"{self.owner_path}__istartswith": term}), False
        for path in self.id_paths:
            if not path.endswith("uid"):
                found = queryset.filter(**{path: term})
            elif (uid := as_uuid(term)) is not None:
                found = queryset.filter(**{path: uid})
            else:
                continue
            if term and found.exists():
                return found, False
        rest: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, term)
        return rest


class SourceInline(ReadOnly, TabularInline):
    """What pays for a card, in order."""

    model = FundingSource
    extra = 0
    fields = ("position", "asset", "kept")
    readonly_fields = fields
    ordering = ("position",)

    @admin.display(description="always kept")
    def kept(self, source: FundingSource) -> str:
        """Show dollars or shares."""
        return queries.plain(queries.keep_of(source))


@admin.register(Card)
class CardAdmin(SpendingAdmin):
    """Cards; freezing and unfreezing are on each one's page."""

    list_display = ("created_at", "user", "brand", "last_four", "expires_on", "status", "uid")
    list_filter = ("status",)
    list_select_related = ("user",)
    owner_path = "user__email"
    actions_detail = ("freeze", "unfreeze", "forgive")
    inlines = (SourceInline,)
    fields = (
        ("user", "status", "uid"),
        ("brand", "last_four", "expires_on"),
        ("frozen_by", "frozen_reason"),
        ("created_at", "owed", "see_also"),
    )
    readonly_fields = ("uid", "owed", "see_also")

    def has_freeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may freeze cards."""
        return request.user.has_perm("spending.freeze_card")

    def has_unfreeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose to unfreeze cards."""
        return users.queries.may_propose(request.user, operations.UNFREEZE_CARD.name)

    @action(description="Freeze", url_path="freeze", permissions=["freeze"])  # type: ignore[untyped-decorator]
    def freeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Stop the card at once."""

        def do(card: Card, reason: str) -> str:
            assert isinstance(request.user, User)
            operations.freeze_card(card=card, actor=request.user, reason=reason, now=clock.now())
            return "The card is frozen, and the customer was told."

        return self._ask(request, object_id, "Freeze the card", do)

    @action(description="Unfreeze", url_path="unfreeze", permissions=["unfreeze"])  # type: ignore[untyped-decorator]
    def unfreeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to let the card pay again."""

        def do(card: Card, reason: str) -> str:
            assert isinstance(request.user, User)
            users.operations.propose(
                kind=operations.UNFREEZE_CARD.name,
                payload={"card": card.uid, "message": reason},
                actor=request.user,
                reason=reason,
                now=clock.now(),
            )
            return "Proposed: another person decides."

        return self._ask(request, object_id, "Propose to unfreeze the card", do)

    def has_forgive_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose to forgive what a holder owes."""
        return users.queries.may_propose(request.user, operations.FORGIVE_SHORTFALL.name)

    @action(description="Forgive a debt", url_path="forgive", permissions=["forgive"])  # type: ignore[untyped-decorator]
    def forgive(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to let the holder off what they owe, or a part of it."""
        card = get_object_or_404(Card.objects.select_related("user"), pk=object_id)

        def do(words: dict[str, str]) -> str:
            assert isinstance(request.user, User)
            users.operations.propose(
                kind=operations.FORGIVE_SHORTFALL.name,
                payload={"user": card.user_id, "amount": words["amount"]},
                actor=request.user,
                reason=words["reason"],
                now=clock.now(),
            )
            return "Proposed: another person decides."

        return ask(
            request,
            self,
            form=ForgiveForm(request.POST or None),
            title="Propose to forgive what the holder owes",
            facts=[f"{card.user.email} owes {self.owed(card)}", "Their cards stay frozen."],
            back=reverse("admin:spending_card_change", args=[object_id]),
            do=do,
        )

    def _ask(self, request: HttpRequest, object_id: int, title: str, do: Any) -> HttpResponse:
        """Ask for the reason, which the customer reads."""
        card = get_object_or_404(Card.objects.select_related("user"), pk=object_id)
        return ask(
            request,
            self,
            form=ReasonForm(request.POST or None),
            title=title,
            facts=[
                f"{card} of {card.user.email}, {card.status} now",
                "What was paid before still clears. The customer is told, and reads the reason.",
            ],
            back=reverse("admin:spending_card_change", args=[object_id]),
            do=lambda words: do(card, words["reason"]),
        )

    @admin.display(description="the holder owes")
    def owed(self, card: Card) -> str:
        """Show what the house paid for the holder and has not got back."""
        return f"${queries.dollars(queries.debt_of(card.user))}"

    @admin.display(description="see also")
    def see_also(self, card: Card) -> SafeString:
        """Link what the card paid."""
        return format_html(
            '<a href="{}?card__id__exact={}">Authorizations</a> · '
            '<a href="{}?card__id__exact={}">Movements</a>',
            reverse("admin:spending_authorization_changelist"),
            card.pk,
            reverse("admin:spending_cardmovement_changelist"),
            card.pk,
        )


class OfACard:
    """Reached from a card's page by a link that narrows to the card."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Let a card's page link to its rows."""
        allowed: bool = lookup == "card__id__exact" or super().lookup_allowed(  # type: ignore[misc]
            lookup, value, request
        )
        return allowed


class SaleInline(ReadOnly, TabularInline):
    """Shares sold to pay."""

    model = CardSale
    extra = 0
    fields = ("the_trade", "sold")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[CardSale]:
        """Fetch what each line shows."""
        rows: QuerySet[CardSale] = super().get_queryset(request)
        return rows.select_related("trade__instrument")

    @admin.display(description="trade")
    def the_trade(self, sale: CardSale) -> SafeString | str:
        """Link the trade."""
        return link(sale.trade, str(sale.trade.uid))

    @admin.display(description="sold")
    def sold(self, sale: CardSale) -> str:
        """Say how many shares, at what price."""
        facts = queries.sold_facts([sale.trade])
        return presenters.sold_words(facts["sold"], facts["fee_units"])


class MovementInline(ReadOnly, TabularInline):
    """Money the network took or gave back."""

    model = CardMovement
    extra = 0
    fields = ("kind", "odd", "external_id", "amount", "shortfall", "the_journal", "posted_at")
    readonly_fields = fields

    @admin.display(description="amount")
    def amount(self, movement: CardMovement) -> str:
        """Show dollars."""
        return f"${queries.dollars(movement.amount_units)}"

    @admin.display(description="shortfall")
    def shortfall(self, movement: CardMovement) -> str:
        """Show dollars."""
        return f"${queries.dollars(movement.shortfall_units)}"

    @admin.display(description="journal")
    def the_journal(self, movement: CardMovement) -> SafeString | str:
        """Link the journal."""
        return link(movement.journal)


@admin.register(Authorization)
class AuthorizationAdmin(OfACard, SpendingAdmin):
    """What merchants asked for, what was answered and what became of it."""

    list_display = (
        "requested_at",
        "customer",
        "merchant",
        "requested",
        "decision",
        "reason",
        "status",
        "uid",
    )
    list_filter = ("decision", "status", "reason")
    list_select_related = ("card__user",)
    id_paths = ("uid", "external_id")
    inlines = (SaleInline, MovementInline)
    fields = (
        ("card", "customer"),
        ("uid", "external_id"),
        ("merchant", "mcc"),
        ("requested", "decision"),
        ("status", "reason"),
        ("authorized", "captured", "pending"),
        ("reversed", "expired", "the_hold"),
        ("requested_at", "expires_at", "closed_at"),
        "answered",
    )
    readonly_fields = (
        "uid",
        "customer",
        "requested",
        "authorized",
        "captured",
        "reversed",
        "expired",
        "pending",
        "the_hold",
        "answered",
    )

    @admin.display(description="answered")
    def answered(self, asked: Authorization) -> SafeString:
        """Show what the network was told."""
        return facts(json.loads(asked.answer))

    @admin.display(description="customer")
    def customer(self, asked: Authorization) -> str:
        """Name the card's holder."""
        return str(asked.card.user)

    @admin.display(description="asked for")
    def requested(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.requested_units)}"

    @admin.display(description="approved")
    def authorized(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.authorized_units)}"

    @admin.display(description="captured")
    def captured(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.captured_units)}"

    @admin.display(description="reversed")
    def reversed(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.reversed_units)}"

    @admin.display(description="expired")
    def expired(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.expired_units)}"

    @admin.display(description="pending")
    def pending(self, asked: Authorization) -> str:
        """Show dollars."""
        return f"${queries.dollars(asked.pending_units)}"

    @admin.display(description="hold")
    def the_hold(self, asked: Authorization) -> SafeString | str:
        """Link what was set aside."""
        return link(asked.hold)


@admin.register(CardMovement)
class CardMovementAdmin(OfACard, SpendingAdmin):
    """Money the network took or gave back, once for each external id."""

    list_display = ("posted_at", "customer", "kind", "odd", "merchant", "amount", "external_id")
    list_filter = ("kind", "odd")
    list_select_related = ("card__user",)
    id_paths = ("external_id", "authorization__uid")
    fields = (
        ("kind", "external_id", "customer"),
        ("merchant", "mcc"),
        ("amount", "shortfall", "posted_at"),
        ("the_authorization", "the_journal"),
    )
    readonly_fields = fields[0][2:] + fields[2][:2] + fields[3]

    @admin.display(description="customer")
    def customer(self, movement: CardMovement) -> str:
        """Name the card's holder."""
        return str(movement.card.user)

    @admin.display(description="amount")
    def amount(self, movement: CardMovement) -> str:
        """Show dollars."""
        return f"${queries.dollars(movement.amount_units)}"

    @admin.display(description="shortfall")
    def shortfall(self, movement: CardMovement) -> str:
        """Show dollars."""
        return f"${queries.dollars(movement.shortfall_units)}"

    @admin.display(description="authorization")
    def the_authorization(self, movement: CardMovement) -> SafeString | str:
        """Link what it belongs to, if it was asked for."""
        return link(movement.authorization)

    @admin.display(description="journal")
    def the_journal(self, movement: CardMovement) -> SafeString | str:
        """Link the journal."""
        return link(movement.journal)


@admin.register(DebtReduction)
class DebtReductionAdmin(SpendingAdmin):
    """What customers owed and paid, or were forgiven by two people."""

    list_display = ("made_at", "user", "kind", "amount")
    list_filter = ("kind",)
    list_select_related = ("user",)
    owner_path = "user__email"
    id_paths = ("proposal__uid",)
    fields = (("user", "kind", "amount"), ("the_journal", "proposal", "made_at"))
    readonly_fields = ("amount", "the_journal")

    @admin.display(description="amount")
    def amount(self, reduction: DebtReduction) -> str:
        """Show dollars."""
        return f"${queries.dollars(reduction.amount_units)}"

    @admin.display(description="journal")
    def the_journal(self, reduction: DebtReduction) -> SafeString | str:
        """Link the journal of a recovery."""
        return link(reduction.journal)


@admin.register(CardEvent)
class CardEventAdmin(OfACard, SpendingAdmin):
    """What the network told us after authorizations, and what we answered."""

    list_display = ("received_at", "kind", "card", "amount", "external_id")
    list_filter = ("kind",)
    list_select_related = ("card",)
    id_paths = ("external_id", "authorization__uid")
    fields = (
        ("kind", "external_id"),
        ("card", "authorization"),
        ("amount", "received_at"),
        "answered",
    )
    readonly_fields = ("amount", "answered")

    @admin.display(description="amount")
    def amount(self, event: CardEvent) -> str:
        """Show dollars."""
        return f"${queries.dollars(event.amount_units)}"

    @admin.display(description="answered")
    def answered(self, event: CardEvent) -> SafeString:
        """Show what the network was told."""
        return facts(json.loads(event.answer))
