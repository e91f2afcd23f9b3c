"""What the ticket, the amend form and the admin take from a browser."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)
from uuid_utils.compat import uuid7

from common.money import EXACT, AmountInvalid, parse_decimal
from instruments.models import Instrument
from trading.models import Book, Order
from trading.operations import OrderDraft

BIGGEST = Decimal("1e10")  # what the columns can keep


class DecimalText(forms.CharField):
    """A positive decimal as people type it: "25", "$1,000.50"; `decimals` there may be at most."""

    def __init__(self, *, decimals: int, **options: Any) -> None:
        """Take the number of decimals besides Django's own options."""
        self.decimals = decimals
        super().__init__(max_length=40, **options)

    def clean(self, value: Any) -> Any:
        """Read it exactly; None if nothing was typed and nothing need be."""
        text = super().clean(value).replace(",", "").replace("$", "").replace(" ", "")
        if not text:
            return None
        try:
            number = parse_decimal(text)
        except AmountInvalid as error:
            raise forms.ValidationError(error.detail) from error
        if not 0 < number < BIGGEST:
            raise forms.ValidationError("Give a positive number like 12.50.")
        if number != number.quantize(Decimal(1).scaleb(-self.decimals), None, EXACT):
            raise forms.ValidationError(f"Give at most {self.decimals} decimals.")
        return number


class TicketForm(forms.Form):
    """An order as the ticket asks for it.

    `client_order_id` is made when the ticket is drawn, so that one ticket is one order however
    often its button is pressed.
    """

    side = forms.ChoiceField(choices=Order.Side.choices, initial=Order.Side.BUY)
    measure = forms.ChoiceField(
        choices=[("dollars", "Dollars"), ("shares", "Shares")], initial="dollars"
    )
    amount = DecimalText(decimals=8, error_messages={"required": "Enter an amount."})
    type = forms.ChoiceField(
        choices=[(Order.Type.MARKET, "Market"), (Order.Type.LIMIT, "Limit")],
        initial=Order.Type.MARKET,
    )
    limit_price = DecimalText(decimals=6, required=False)
    time_in_force = forms.ChoiceField(
        choices=[
            (Order.TimeInForce.GTC, "Until it is filled or cancelled"),
            (Order.TimeInForce.IOC, "Now, and cancel what is left"),
            (Order.TimeInForce.FOK, "All of it now, or nothing"),
        ],
        required=False,
        initial=Order.TimeInForce.GTC,
    )
    post_only = forms.BooleanField(required=False)
    client_order_id = forms.CharField(max_length=64)

    def clean(self) -> dict[str, Any]:
        """Hold the fields against each other."""
        asked = super().clean() or {}
        limit = asked.get("type") == Order.Type.LIMIT
        if limit and asked.get("limit_price") is None and "limit_price" not in self.errors:
            self.add_error("limit_price", "Enter the price you want.")
        amount = asked.get("amount")
        if amount and asked.get("measure") == "dollars" and amount != round(amount, 6):
            self.add_error("amount", "Dollars have at most six decimals.")
        return asked

    def draft(self, instrument: Instrument) -> OrderDraft:
        """Give the order asked for; only after the form was found valid."""
        asked = self.cleaned_data
        limit = asked["type"] == Order.Type.LIMIT
        dollars = asked["measure"] == "dollars"
        return OrderDraft(
            instrument=instrument,
            side=asked["side"],
            type=asked["type"],
            quantity=None if dollars else asked["amount"],
            notional=asked["amount"] if dollars else None,
            limit_price=asked["limit_price"] if limit else None,
            time_in_force=(asked["time_in_force"] if limit else "") or Order.TimeInForce.GTC,
            post_only=limit and asked["post_only"],
            client_order_id=asked["client_order_id"],
        )


def fresh_ticket(**initial: Any) -> TicketForm:
    """Give an empty ticket with its own order id."""
    return TicketForm(initial={"client_order_id": uuid7().hex, **initial})


class AmendForm(forms.Form):
    """Another quantity or limit price for an open order."""

    quantity = DecimalText(decimals=8, required=False)
    limit_price = DecimalText(decimals=6, required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse to change nothing."""
        asked = {name: value for name, value in (super().clean() or {}).items() if value}
        if not asked and not self.errors:
            raise forms.ValidationError("Give another quantity, another price, or both.")
        return asked


class SteeringForm(forms.Form):
    """What staff say when they steer a market; the reason goes into the audit trail."""

    title: ClassVar[str]
    done: ClassVar[str]
    reason = forms.CharField(
        help_text="For the audit trail.", widget=UnfoldAdminTextareaWidget({"rows": 3})
    )
    field_order = ("state", "tier", "multiplier", "reason")


class StateForm(SteeringForm):
    """Which orders a market takes."""

    title = "Change the market's state"
    done = "The engine has been told; the state follows as soon as it has."
    state = forms.ChoiceField(choices=Book.State.choices, widget=UnfoldAdminSelectWidget)


class TierForm(SteeringForm):
    """How wide a market's price band is."""

    title = "Change the tier of price bands"
    done = "The market has another tier."
    tier = forms.TypedChoiceField(
        choices=Book.Tier.choices, coerce=int, widget=UnfoldAdminSelectWidget
    )


class MultiplierForm(SteeringForm):
    """A corporate action."""

    title = "Change the multiplier"
    done = "The engine has been told; it cancels every open order first."
    multiplier = forms.DecimalField(
        min_value=Decimal("1e-18"),
        max_digits=30,
        decimal_places=18,
        help_text="Shares for one base share from now on, whole: a 4:1 split of 1 makes 4.",
        widget=UnfoldAdminTextInputWidget,
    )
