"""Money coming in, for staff to read: what moved is in the books, and nothing here moves it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from common.admin import ReadOnly
from common.money import Amount
from payments import queries
from payments.models import BankCredit, DepositInstruction


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


class UnmatchedFilter(admin.SimpleListFilter):
    """Show the money whose reference nobody knows."""

    title = "match"
    parameter_name = "match"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the unmatched, beside everything."""
        return [("none", "Unmatched")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to the unmatched."""
        return queryset.filter(instruction=None) if self.value() else queryset


@admin.register(BankCredit)
class BankCreditAdmin(ReadOnly, ModelAdmin):
    """What the bank says it received for us."""

    ordering = ("-id",)
    list_display = ("external_id", "exact_amount", "reference", "instruction", "received_at")
    list_filter = (UnmatchedFilter,)
    list_select_related = ("asset", "instruction")
    search_fields = ("external_id", "reference", "instruction__user__email")
    search_help_text = "The bank's id, a reference, or an e-mail address"
    fields = (
        ("external_id", "reference"),
        ("exact_amount", "received_at"),
        ("instruction", "journal"),
    )
    readonly_fields = ("exact_amount",)
    actions = None
    show_full_result_count = False

    @admin.display(description="amount")
    def exact_amount(self, credit: BankCredit) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(credit.amount_units, credit.asset))
