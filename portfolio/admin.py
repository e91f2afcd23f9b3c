"""Lots and what closed them, for staff to read."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from common.admin import ReadOnly, ReadOnlyTable
from common.money import USD, Amount
from portfolio.models import Lot, LotClosing, LotDue
from portfolio.rules import shares


class ClosingInline(ReadOnly, TabularInline):
    """The sales that closed parts of a lot."""

    model = LotClosing
    extra = 0
    fields = ("closed_at", "trade", "closed", "had_cost", "brought", "gain")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[LotClosing]:
        """Fetch what each line shows."""
        rows: QuerySet[LotClosing] = super().get_queryset(request)
        return rows.select_related("trade", "lot__instrument")

    @admin.display(description="shares")
    def closed(self, closing: LotClosing) -> str:
        """Show shares."""
        return f"{shares(closing.quantity, closing.lot.instrument.multiplier):f}"

    @admin.display(description="cost")
    def had_cost(self, closing: LotClosing) -> str:
        """Show dollars."""
        return str(Amount(closing.cost, USD))

    @admin.display(description="proceeds")
    def brought(self, closing: LotClosing) -> str:
        """Show dollars."""
        return str(Amount(closing.proceeds, USD))

    @admin.display(description="realized")
    def gain(self, closing: LotClosing) -> str:
        """Show dollars."""
        return str(Amount(closing.proceeds - closing.cost, USD))


@admin.register(Lot)
class LotAdmin(ReadOnlyTable):
    """Shares bought in one trade, and what of them is left."""

    list_display = ("acquired_at", "customer", "instrument", "bought", "left", "paid", "left_cost")
    list_filter = ("instrument__type",)
    list_select_related = ("customer", "instrument")
    search_fields = ("customer__email__istartswith", "=instrument__symbol")
    search_help_text = "A customer's e-mail address, or a symbol"
    inlines = (ClosingInline,)
    fields = (
        ("customer", "instrument", "trade"),
        ("acquired_at", "bought", "paid"),
        ("left", "left_cost"),
    )
    readonly_fields = ("bought", "left", "paid", "left_cost")

    @admin.display(description="bought")
    def bought(self, lot: Lot) -> str:
        """Show shares."""
        return f"{shares(lot.quantity, lot.instrument.multiplier):f}"

    @admin.display(description="left")
    def left(self, lot: Lot) -> str:
        """Show shares."""
        return f"{shares(lot.remaining, lot.instrument.multiplier):f}"

    @admin.display(description="cost, fee included")
    def paid(self, lot: Lot) -> str:
        """Show dollars."""
        return str(Amount(lot.cost, USD))

    @admin.display(description="cost of what is left")
    def left_cost(self, lot: Lot) -> str:
        """Show dollars."""
        return str(Amount(lot.remaining_cost, USD))


@admin.register(LotDue)
class LotDueAdmin(ReadOnly, ModelAdmin):
    """Settled trades whose lots are still to be booked; old ones ask for a look."""

    list_display = ("id", "trade")
    list_select_related = ("trade",)
    ordering = ("id",)
    actions = None
