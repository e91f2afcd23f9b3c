"""What pays, chosen on the page of a card."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from common.forms import NumberField
from spending.operations import PURCHASES


class SourceForm(forms.Form):
    """Add an asset to what pays, keeping some of it."""

    asset = forms.ChoiceField(label="Sell")
    keep = NumberField(
        label="but always keep",
        decimals=8,
        least=Decimal(0),
        initial="0",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )

    def __init__(self, *args: Any, assets: list[tuple[str, str]], **kwargs: Any) -> None:
        """Offer the given assets: code and words."""
        super().__init__(*args, **kwargs)
        self.fields["asset"].choices = assets  # type: ignore[attr-defined]


class MoveForm(forms.Form):
    """Let an asset pay earlier or later, or not at all."""

    asset = forms.CharField(max_length=16)
    step = forms.ChoiceField(choices=[("-1", "earlier"), ("1", "later"), ("0", "remove")])


class TapForm(forms.Form):
    """Buy something made up; demo mode only."""

    purchase = forms.ChoiceField(choices=[(name, name) for name in PURCHASES])


class ReasonForm(forms.Form):
    """Why staff freeze or unfreeze a card; the holder reads it."""

    reason = forms.CharField(
        label="Why (the customer reads this)",
        max_length=200,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


class ForgiveForm(forms.Form):
    """How much of what a customer owes is forgiven, and why."""

    amount = forms.CharField(
        label="How many dollars", max_length=40, widget=UnfoldAdminTextInputWidget()
    )
    reason = forms.CharField(
        label="Why (for who decides)",
        max_length=200,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )
