"""Instruments, for staff to read: identifiers come from the issuer and never change here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from instruments.models import Instrument


@admin.register(Instrument)
class InstrumentAdmin(ModelAdmin):
    """What is traded, what backs it, and by which rules."""

    list_display = ("symbol", "name", "type", "isin", "hours", "multiplier", "listed")
    list_filter = ("type", "hours", "listed")
    search_fields = ("symbol", "name", "isin", "underlying_isin", "solana_mint", "evm_address")
    ordering = ("symbol",)
    list_per_page = 100
    actions = None
    fieldsets = (
        (None, {"fields": ("symbol", "name", "type", "listed", "hours")}),
        (
            "What backs it",
            {
                "fields": (
                    "underlying",
                    "isin",
                    "underlying_isin",
                    "solana_mint",
                    "evm_address",
                    "evm_chains",
                )
            },
        ),
        ("Rules", {"fields": ("tick_size", "quantity_step", "min_notional", "multiplier")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: instruments are listed by `load_instruments`."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what an instrument is changes by an operation of the market, not by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: the books speak of it forever."""
        return False
