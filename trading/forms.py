"""What the ticket, the amend form and the admin take from a browser."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeVerticalWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)
from uuid_utils.compat import uuid7

from common import times
from common.forms import NumberField
from instruments.models import CorporateAction, Instrument
from market.rules.sessions import end_of_day
from trading import operations
from trading.models import AT_MARKET, LIMITED, STOPPING, TRAILING, TRIGGERED, Book, Order
from trading.operations import Close, OrderDraft

TYPES = {
    Order.Type.MARKET: "Market",
    Order.Type.LIMIT: "Limit",
    Order.Type.STOP_LOSS: "Stop-loss",
    Order.Type.STOP_LOSS_LIMIT: "Stop-loss with a limit",
    Order.Type.TAKE_PROFIT: "Take-profit",
    Order.Type.TAKE_PROFIT_LIMIT: "Take-profit with a limit",
    Order.Type.TRAILING_STOP: "Trailing stop",
    Order.Type.TRAILING_STOP_LIMIT: "Trailing stop with a limit",
    Order.Type.ICEBERG: "Iceberg",
}


class ExpiryField(forms.DateTimeField):
    """When an order expires: a time by the customer's clock, or a day, which ends in New York."""

    def __init__(self, **options: Any) -> None:
        """Take Django's options."""
        super().__init__(
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
            input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
            error_messages={"invalid": "Give the time as 2026-12-24 18:00, or a day."},
            **options,
        )

    def to_python(self, value: Any) -> datetime | None:
        """Read either."""
        try:
            return end_of_day(date.fromisoformat(str(value).strip()))
        except (ValueError, OverflowError):
            return super().to_python(value)


class TicketForm(forms.Form):
    """An order as the ticket asks for it.

    The simple ticket chooses `type`, the advanced one `special_type`; what the chosen type does not
    take is ignored, so that changing one's mind leaves nothing behind. `client_order_id` is made
    when the ticket is drawn: one ticket is one order, however often its button is pressed.
    """

    side = forms.ChoiceField(choices=Order.Side.choices, initial=Order.Side.BUY)
    measure = forms.ChoiceField(
        choices=[("dollars", "Dollars"), ("shares", "Shares")], initial="dollars"
    )
    amount = NumberField(decimals=8, error_messages={"required": "Enter an amount."})
    advanced = forms.BooleanField(required=False)
    type = forms.ChoiceField(
        choices=[(Order.Type.MARKET, "Market"), (Order.Type.LIMIT, "Limit")],
        required=False,
        initial=Order.Type.MARKET,
    )
    special_type = forms.ChoiceField(
        label="Order type",
        choices=list(TYPES.items()),
        required=False,
        initial=Order.Type.LIMIT,
    )
    trigger_price = NumberField(decimals=6, required=False, label="Trigger price")
    take_profit_price = NumberField(decimals=6, required=False, label="Or take profit at")
    trail = NumberField(decimals=4, required=False, label="Distance")
    trail_unit = forms.ChoiceField(
        label="Distance in",
        choices=[("percent", "Percent"), ("dollars", "Dollars")],
        required=False,
        initial="percent",
    )
    trigger = forms.ChoiceField(
        label="Which price starts it",
        choices=[
            (Order.Trigger.LAST, "The last trade here"),
            (Order.Trigger.INDEX, "The reference price"),
        ],
        required=False,
        initial=Order.Trigger.INDEX,
    )
    limit_price = NumberField(decimals=6, required=False, label="Limit price")
    limit_offset = NumberField(decimals=6, required=False, label="The limit, so much worse")
    display_quantity = NumberField(decimals=8, required=False, label="Shown at a time")
    time_in_force = forms.ChoiceField(
        label="How long it stands",
        choices=[
            (Order.TimeInForce.GTC, "Until it is filled or cancelled"),
            (Order.TimeInForce.GTD, "Until a time I choose"),
            (Order.TimeInForce.IOC, "Now, and cancel what is left"),
            (Order.TimeInForce.FOK, "All of it now, or nothing"),
        ],
        required=False,
        initial=Order.TimeInForce.GTC,
    )
    expires_at = ExpiryField(label="Until", required=False)
    post_only = forms.BooleanField(required=False)
    reduce_only = forms.BooleanField(required=False)
    stop_loss = NumberField(decimals=6, required=False, label="Falls to")
    take_profit = NumberField(decimals=6, required=False, label="Rises to")
    client_order_id = forms.CharField(max_length=64)
    reviewed = forms.BooleanField(required=False)

    # Whether these are optional depends on the type: their labels don't say so.
    conditional = (
        "special_type",
        "trigger_price",
        "trail",
        "trail_unit",
        "trigger",
        "limit_price",
        "limit_offset",
        "display_quantity",
        "time_in_force",
        "expires_at",
    )

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Name its inputs `ticket-…`: other forms stand on the same page."""
        super().__init__(data, auto_id="ticket-%s", **options)
        by = times.label(timezone.localtime())
        self.fields["expires_at"].label = f"Until, by {by}"

    @property
    def kind(self) -> str:
        """The order's type, by whichever of the two choices is shown."""
        name = "special_type" if self["advanced"].value() else "type"
        return str(self[name].value() or Order.Type.MARKET)

    def clean(self) -> dict[str, Any]:
        """Hold the fields against each other: what the type needs must be there."""
        asked = super().clean() or {}
        for field, sentence in self._needed():
            if asked.get(field) is None and field not in self.errors:
                self.add_error(field, sentence)
        amount = asked.get("amount")
        if amount and asked.get("measure") == "dollars" and amount != round(amount, 2):
            self.add_error("amount", "Dollars have two decimals.")
        if self.kind == Order.Type.ICEBERG and asked.get("measure") == "dollars":
            self.add_error("amount", "An iceberg order is by shares: choose Shares above.")
        return asked

    def _needed(self) -> Iterator[tuple[str, str]]:
        """Name what the chosen type cannot do without."""
        kind = self.kind
        if kind in LIMITED:
            yield "limit_price", "Enter the price you want."
        if kind in STOPPING:
            yield "trigger_price", "Enter the price that starts it."
        if kind in TRAILING:
            yield "trail", "Enter the distance at which it follows the price."
        if kind == Order.Type.TRAILING_STOP_LIMIT:
            yield "limit_offset", "Enter how much worse its limit may be than where it starts."
        if kind == Order.Type.ICEBERG:
            yield "display_quantity", "Enter how many shares may be seen at a time."
        if self["advanced"].value() and self["time_in_force"].value() == Order.TimeInForce.GTD:
            yield "expires_at", "Choose until when it stands."

    def draft(self, instrument: Instrument) -> OrderDraft:
        """Give the order asked for; only after the form was found valid."""
        asked, kind = self.cleaned_data, self.kind
        dollars = asked["measure"] == "dollars"
        return OrderDraft(
            instrument=instrument,
            side=asked["side"],
            type=kind,
            quantity=None if dollars else asked["amount"],
            notional=asked["amount"] if dollars else None,
            limit_price=asked["limit_price"] if kind in LIMITED else None,
            client_order_id=asked["client_order_id"],
            **(self._advanced(kind) if asked["advanced"] else {}),
        )

    def _advanced(self, kind: str) -> dict[str, Any]:
        """Give the terms that only the advanced ticket has, as far as the type takes them."""
        asked = self.cleaned_data
        force = asked["time_in_force"] if kind != Order.Type.MARKET else ""
        stops = kind in {Order.Type.STOP_LOSS, Order.Type.STOP_LOSS_LIMIT}
        in_percent = asked["trail_unit"] != "dollars"
        trail = asked["trail"] if kind in TRAILING else None
        return {
            "trigger_price": asked["trigger_price"] if kind in STOPPING else None,
            "take_profit_price": asked["take_profit_price"] if stops else None,
            "trigger": (asked["trigger"] if kind in TRIGGERED else "") or Order.Trigger.LAST,
            "trail": None if in_percent else trail,
            "trail_percent": trail if in_percent else None,
            "limit_offset": self._offset() if kind == Order.Type.TRAILING_STOP_LIMIT else None,
            "display_quantity": asked["display_quantity"] if kind == Order.Type.ICEBERG else None,
            "time_in_force": force or Order.TimeInForce.GTC,
            "expires_at": asked["expires_at"] if force == Order.TimeInForce.GTD else None,
            "post_only": kind not in AT_MARKET and asked["post_only"],
            "reduce_only": asked["side"] == Order.Side.SELL and asked["reduce_only"],
            "close": self._close(),
        }

    def _offset(self) -> Decimal:
        """Give how far beyond where it starts the limit is: below for a sell, above for a buy."""
        asked = self.cleaned_data
        offset: Decimal = asked["limit_offset"]
        return -offset if asked["side"] == Order.Side.SELL else offset

    def _close(self) -> Close | None:
        """Give what sells the purchase again, if anything does."""
        asked = self.cleaned_data
        if asked["side"] == Order.Side.SELL or not (asked["stop_loss"] or asked["take_profit"]):
            return None
        return Close(stop_loss=asked["stop_loss"], take_profit=asked["take_profit"])


def fresh_ticket(**initial: Any) -> TicketForm:
    """Give an empty ticket with its own order id."""
    return TicketForm(initial={"client_order_id": uuid7().hex, **initial})


class HistoryForm(forms.Form):
    """How the history may be narrowed; what makes no sense filters nothing."""

    instrument = forms.ModelChoiceField(
        Instrument.objects.none(), to_field_name="symbol", required=False, empty_label="All"
    )
    side = forms.ChoiceField(choices=[("", "Both"), *Order.Side.choices], required=False)
    status = forms.ChoiceField(
        label="State",
        choices=[
            ("", "All"),
            (Order.Status.FILLED, "Filled"),
            (Order.Status.CANCELLED, "Cancelled"),
            (Order.Status.REJECTED, "Rejected"),
            (Order.Status.EXPIRED, "Expired"),
        ],
        required=False,
    )
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    conditional = ("instrument", "side", "status", "since", "until")

    def __init__(self, data: Any, *, instruments: QuerySet[Instrument]) -> None:
        """Offer these instruments, by name."""
        super().__init__(data)
        choice = self.fields["instrument"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset = instruments
        choice.label_from_instance = lambda one: one.name  # type: ignore[assignment]

    def narrow(self, orders: QuerySet[Order]) -> QuerySet[Order]:
        """Apply what was chosen; days are those on which an order was placed, by their clock."""
        self.full_clean()
        asked = {name: value for name, value in self.cleaned_data.items() if value}
        lookups = {"since": "placed_at__date__gte", "until": "placed_at__date__lte"}
        return orders.filter(**{lookups.get(name, name): value for name, value in asked.items()})


class AmendForm(forms.Form):
    """Another quantity, limit or trigger price for an open order; it offers what its type takes.

    It may be older than the order, so it carries what it showed: only what differs is asked for.
    """

    trigger_price = NumberField(decimals=6, required=False, label="Trigger price")
    limit_price = NumberField(decimals=6, required=False, label="Limit price")
    quantity = NumberField(decimals=8, required=False, label="Shares in all")

    def __init__(self, data: Any = None, *, order: Order, shares: Decimal | None) -> None:
        """Begin with what the order says now.

        :param shares: its quantity, None where it is by dollars
        """
        self.now = {
            "trigger_price": None if order.engine_state.get("triggered") else order.trigger_price,
            "limit_price": order.limit_price,
            "quantity": shares,
        }
        shown = {
            name: value.normalize() if name == "quantity" else order.instrument.quoted(value)
            for name, value in self.now.items()
            if value
        }
        super().__init__(data, initial=shown)
        for name in set(self.fields) - set(shown):
            del self.fields[name]
        for field in self.fields.values():
            field.show_hidden_initial = True

    def clean(self) -> dict[str, Any]:
        """Keep what differs, and refuse to change nothing."""
        asked = super().clean() or {}
        changed = {
            name: value
            for name, value in asked.items()
            if name in self.changed_data and value not in (None, self.now[name])
        }
        if not changed and not self.errors:
            raise forms.ValidationError("Give another price or another quantity.")
        return changed


class SteeringForm(forms.Form):
    """What staff say when they steer a market; the reason goes into the audit trail."""

    title: ClassVar[str]
    reason = forms.CharField(
        help_text="For who decides, and for the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )
    field_order: Iterable[str] = ("state", "tier", "reason")


class HaltForm(SteeringForm):
    """How far a market stops, at once."""

    title = "Halt the market"
    state = forms.ChoiceField(
        choices=[(state.value, state.label) for state in operations.HALTS],
        help_text="It holds as soon as the engine knows. To open the market again takes two.",
        widget=UnfoldAdminSelectWidget,
    )


class StateForm(SteeringForm):
    """Which orders a market takes."""

    title = "Propose another state"
    state = forms.ChoiceField(choices=Book.State.choices, widget=UnfoldAdminSelectWidget)


class TierForm(SteeringForm):
    """How wide a market's price band is."""

    title = "Propose another tier of price bands"
    tier = forms.TypedChoiceField(
        choices=Book.Tier.choices, coerce=int, widget=UnfoldAdminSelectWidget
    )


class CorporateActionForm(SteeringForm):
    """What the issuer announced; the multiplier follows from it."""

    title = "Propose a corporate action"
    kind = forms.ChoiceField(choices=CorporateAction.Kind.choices, widget=UnfoldAdminSelectWidget)
    event = forms.CharField(
        max_length=200,
        help_text="The issuer's announcement: what, and its date or number.",
        widget=UnfoldAdminTextInputWidget,
    )
    ratio_to = forms.IntegerField(
        required=False,
        label="New shares",
        help_text="Of a split: 4 of 4 for 1.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    ratio_from = forms.IntegerField(
        required=False,
        label="For old shares",
        help_text="Of a split: 1 of 4 for 1.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    net_amount = forms.DecimalField(
        required=False,
        max_digits=16,
        decimal_places=6,
        help_text="Of a dividend: dollars a share after tax.",
        widget=UnfoldAdminTextInputWidget,
    )
    reinvestment_price = forms.DecimalField(
        required=False,
        max_digits=16,
        decimal_places=6,
        help_text="Of a dividend: dollars a share at which it is reinvested.",
        widget=UnfoldAdminTextInputWidget,
    )
    effective_at = forms.SplitDateTimeField(
        label="Takes effect (UTC)",
        help_text="The market halts before, and opens again by itself.",
        widget=UnfoldAdminSplitDateTimeVerticalWidget,
    )
    field_order = (
        "kind",
        "event",
        "ratio_to",
        "ratio_from",
        "net_amount",
        "reinvestment_price",
        "effective_at",
        "reason",
    )


class CancelActionForm(SteeringForm):
    """Why a corporate action is called off."""

    title = "Call this corporate action off"
