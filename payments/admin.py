"""Money, for staff to read: what moved is in the books, and what is to move is proposed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

import users.operations
import users.queries
from common import clock
from common.admin import ProposedRows, ReadOnly, ReadOnlyTable, ask
from common.money import USD, Amount
from payments import operations, queries
from payments.forms import AdjustmentForm, AssignForm, TreasuryForm, WhyForm
from payments.models import (
    Adjustment,
    BankCredit,
    BankPolicy,
    BankStatement,
    DepositInstruction,
    Reversal,
    StatementEntry,
    TreasuryMovement,
)
from users.models import User
from users.operations import ProposalKind


def propose(request: HttpRequest, kind: ProposalKind, payload: dict[str, Any], why: str) -> str:
    """Propose something, and say so."""
    assert isinstance(request.user, User)
    users.operations.propose(
        kind=kind.name, payload=payload, actor=request.user, reason=why, now=clock.now()
    )
    return "Proposed: another person decides."


class BankCreditInline(ReadOnly, TabularInline):
    """What arrived for a deposit."""

    model = BankCredit
    extra = 0
    fields = ("external_id", "exact_amount", "reference", "received_at", "journal")
    readonly_fields = fields
    show_change_link = True

    @admin.display(description="amount")
    def exact_amount(self, credit: BankCredit) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(credit.amount_units, credit.asset))


@admin.register(DepositInstruction)
class DepositInstructionAdmin(ReadOnly, ModelAdmin):
    """Deposits that customers announced."""

    ordering = ("-id",)
    list_display = ("reference", "user", "announced", "status", "created_at", "completed_at")
    list_filter = ("status",)
    list_select_related = ("user", "asset")
    search_fields = ("reference", "user__email", "uid")
    search_help_text = "A reference, an e-mail address, or the id"
    fields = (
        "user",
        ("reference", "status"),
        "announced",
        ("created_at", "completed_at"),
        "uid",
    )
    readonly_fields = ("announced", "uid")
    inlines = (BankCreditInline,)
    actions = None
    show_full_result_count = False

    @admin.display(description="announced")
    def announced(self, instruction: DepositInstruction) -> str:
        """Show wholes with every decimal of the asset."""
        return str(queries.announced(instruction))


@admin.register(BankCredit)
class BankCreditAdmin(ReadOnly, ModelAdmin):
    """What the bank says it received for us."""

    ordering = ("-id",)
    list_display = (
        "external_id",
        "exact_amount",
        "reference",
        "status",
        "waits_for",
        "user",
        "received_at",
    )
    list_filter = ("status", "waits_for")
    list_select_related = ("asset", "user")
    search_fields = ("external_id", "reference", "user__email")
    search_help_text = "The bank's id, a reference, or an e-mail address"
    fields = (
        ("external_id", "reference"),
        ("exact_amount", "received_at"),
        ("status", "waits_for"),
        ("instruction", "user"),
        ("proposal", "journal"),
    )
    readonly_fields = ("exact_amount",)
    actions = None
    actions_detail = ("assign", "give_back")
    show_full_result_count = False

    @admin.display(description="amount")
    def exact_amount(self, credit: BankCredit) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(credit.amount_units, credit.asset))

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose what becomes of money that waits."""
        return users.queries.may_propose(request.user, operations.ASSIGN_CREDIT.name)

    @action(description="Post to a customer", url_path="assign", permissions=["decide"])  # type: ignore[untyped-decorator]
    def assign(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose whose money it is."""
        credit = get_object_or_404(BankCredit, pk=object_id)
        likely = credit.instruction.user.email if credit.instruction else ""
        form = AssignForm(request.POST or None, initial={"email": likely})
        return self._ask(request, credit, form, operations.ASSIGN_CREDIT)

    @action(description="Return to the sender", url_path="return", permissions=["decide"])  # type: ignore[untyped-decorator]
    def give_back(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose that it goes back."""
        credit = get_object_or_404(BankCredit, pk=object_id)
        return self._ask(request, credit, WhyForm(request.POST or None), operations.RETURN_CREDIT)

    def _ask(
        self, request: HttpRequest, credit: BankCredit, form: WhyForm, kind: ProposalKind
    ) -> HttpResponse:
        def do(words: dict[str, Any]) -> str:
            payload: dict[str, Any] = {"credit": credit.external_id}
            if "email" in words:
                payload["user"] = words["email"].pk
            return propose(request, kind, payload, words["why"])

        return ask(
            request,
            self,
            form=form,
            title=kind.title,
            facts=[
                f"{self.exact_amount(credit)} {credit.asset.code}, for {credit.reference!r}",
                f"{credit.get_status_display()}: {credit.get_waits_for_display() or 'matched'}",
            ],
            back=reverse("admin:payments_bankcredit_change", args=[credit.pk]),
            do=do,
        )


@admin.register(BankPolicy)
class BankPolicyAdmin(ProposedRows):
    """Which money is posted without staff; the next is proposed, and none is changed."""

    ordering = ("-since",)
    list_display = ("since", "tolerance_usd", "largest_usd", "largest_day_usd")

    def may_propose(self, request: HttpRequest) -> bool:
        """Let those propose a row whose role does."""
        return users.queries.may_propose(request.user, operations.SET_BANK_POLICY.name)

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose a row."""
        why = words.pop("why")
        return propose(request, operations.SET_BANK_POLICY, words, why)


class ProposedAdmin(ProposedRows, ReadOnlyTable):
    """Rows that two people decide on: `add` proposes one, and `reverse` its mirror image."""

    kind: ProposalKind
    form_class: type[WhyForm]
    list_select_related: tuple[str, ...] = ("journal", "proposal")
    actions_detail = ("reverse",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch what each line shows."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.list_select_related)

    def payload_of(self, words: dict[str, Any]) -> dict[str, Any]:
        """Write the proposal's arguments from what the form says."""
        raise NotImplementedError

    @property
    def add_title(self) -> str:  # type: ignore[override]
        """Say what the form proposes."""
        return self.form_class.title

    def form_of(self, request: HttpRequest) -> WhyForm:
        """Give the form of this kind."""
        return self.form_class(request.POST or None)

    def may_propose(self, request: HttpRequest) -> bool:
        """Let those propose whose role does."""
        return users.queries.may_propose(request.user, self.kind.name)

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose one."""
        return propose(request, self.kind, self.payload_of(words), words["why"])

    def has_reverse_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose to take one back."""
        return users.queries.may_propose(request.user, operations.REVERSE.name)

    @action(description="Reverse", url_path="reverse", permissions=["reverse"])  # type: ignore[untyped-decorator]
    def reverse(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to take it back by its mirror image."""
        row = get_object_or_404(self.get_queryset(request), pk=object_id)

        def do(words: dict[str, Any]) -> str:
            payload = {"journal": str(row.journal.uid)}
            return propose(request, operations.REVERSE, payload, words["why"])

        back = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return ask(
            request,
            self,
            form=WhyForm(request.POST or None),
            title="Propose to reverse this",
            facts=[self.exact_amount(row)],
            back=reverse(back, args=[object_id]),
            do=do,
        )

    def exact_amount(self, row: Any) -> str:
        """Show wholes with every decimal of the asset."""
        raise NotImplementedError


@admin.register(TreasuryMovement)
class TreasuryMovementAdmin(ProposedAdmin):
    """The house's money and tokens, in and out."""

    kind = operations.MOVE_TREASURY
    form_class = TreasuryForm
    list_display = ("reference", "kind", "purse", "exact_amount", "moved_at", "proposal")
    list_filter = ("kind", "purse")
    list_select_related = ("journal", "proposal", "asset")
    search_fields = ("reference", "asset__code")
    fields = (
        ("reference", "kind", "purse"),
        ("exact_amount", "moved_at"),
        ("proposal", "journal"),
    )
    readonly_fields = ("exact_amount",)

    def payload_of(self, words: dict[str, Any]) -> dict[str, Any]:
        """Write one movement."""
        movement = operations.Movement(words["kind"], words["purse"], words["amount"])
        return operations.treasury_payload(movements=[movement], reference=words["reference"])

    @admin.display(description="amount")
    def exact_amount(self, row: TreasuryMovement) -> str:
        """Show wholes with every decimal of the asset."""
        return f"{Amount(row.amount_units, row.asset)} {row.asset.code}"


@admin.register(Adjustment)
class AdjustmentAdmin(ProposedAdmin):
    """What staff corrected in customers' dollars."""

    kind = operations.ADJUST_CASH
    form_class = AdjustmentForm
    list_display = ("user", "exact_amount", "message", "adjusted_at", "proposal")
    list_select_related = ("journal", "proposal", "user")
    search_fields = ("user__email",)
    fields = ("user", ("exact_amount", "adjusted_at"), "message", ("proposal", "journal"))
    readonly_fields = ("exact_amount",)

    def payload_of(self, words: dict[str, Any]) -> dict[str, Any]:
        """Write one adjustment."""
        return operations.adjustment_payload(
            user=words["email"], amount=words["amount"], message=words["message"]
        )

    @admin.display(description="amount")
    def exact_amount(self, row: Adjustment) -> str:
        """Show dollars with every decimal."""
        return f"{Amount(row.amount_units, USD)} USD"


@admin.register(Reversal)
class ReversalAdmin(ReadOnlyTable):
    """What was taken back."""

    list_display = ("original", "journal", "proposal", "reversed_at")
    list_select_related = ("original", "journal", "proposal")


class FaultFilter(admin.SimpleListFilter):
    """Show what does not add up."""

    title = "fault"
    parameter_name = "fault"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the faults, beside everything."""
        return [("some", "Does not add up")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to the faults."""
        return queryset.exclude(fault="") if self.value() else queryset


@admin.register(BankStatement)
class BankStatementAdmin(ReadOnlyTable):
    """The bank's days, as the bank states them."""

    ordering = ("-day",)
    list_display = ("day", "opening", "closing", "fault", "imported_at")
    list_filter = (FaultFilter,)

    @admin.display(description="opening")
    def opening(self, row: BankStatement) -> str:
        """Show dollars."""
        return queries.as_dollars(row.opening_units)

    @admin.display(description="closing")
    def closing(self, row: BankStatement) -> str:
        """Show dollars."""
        return queries.as_dollars(row.closing_units)


@admin.register(StatementEntry)
class StatementEntryAdmin(ReadOnlyTable):
    """What the bank booked, and what of it the books do not explain."""

    list_display = ("external_id", "booked_on", "amount", "reference", "fault")
    list_filter = (FaultFilter,)
    search_fields = ("external_id", "reference")

    @admin.display(description="amount")
    def amount(self, row: StatementEntry) -> str:
        """Show dollars."""
        return queries.as_dollars(row.amount_units)
