"""The bodies of the REST door of trading: what comes in, and what goes out."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from common.api import StrictSerializer
from trading import queries
from trading.api.fields import (
    ExpiryField,
    IdField,
    InstrumentField,
    PositiveDecimal,
    SignedDecimal,
    Switch,
    TrailField,
)
from trading.engine.state import BIGGEST
from trading.models import FeeTier, Order, Trade
from trading.operations import Close, OrderDraft, contradictions

SELF_TRADE = ["cancel_newest", "cancel_oldest", "cancel_both"]
PLACEABLE = [value for value in Order.Type.values if value != Order.Type.QUOTE]


def decimal(*, required: bool = True) -> serializers.DecimalField:
    """Describe a decimal string that goes out."""
    return serializers.DecimalField(None, None, required=required)


class CloseRequest(StrictSerializer):
    """What sells each fill again: below `stop_loss`, above `take_profit`, whichever comes first.

    Without a `limit_price` it sells at market once it is triggered.
    """

    stop_loss = PositiveDecimal(decimals=6, required=False, allow_null=True)
    take_profit = PositiveDecimal(decimals=6, required=False, allow_null=True)
    trigger = serializers.ChoiceField(choices=Order.Trigger.values, required=False)
    limit_price = PositiveDecimal(decimals=6, required=False, allow_null=True)


class OrderRequest(StrictSerializer):
    """An order as a customer asks for it: by `quantity` in shares or by `notional` in dollars.

    It is worth `min_notional` of its instrument at least, or it is refused as `BelowMinimum`. A
    sale of all there is may be worth less, whatever its type.
    """

    instrument = InstrumentField()
    side = serializers.ChoiceField(choices=Order.Side.choices)
    type = serializers.ChoiceField(choices=PLACEABLE)
    quantity = PositiveDecimal(
        decimals=8,
        required=False,
        allow_null=True,
        help_text="Shares. A sale of all there is may be worth less than `min_notional`.",
    )
    notional = PositiveDecimal(
        decimals=6,
        required=False,
        allow_null=True,
        help_text="Dollars. A sale by dollars that cover all there is, in whole cents at the price"
        " now and up to a collar more, is placed as a sale of all of it, by `quantity`.",
    )
    limit_price = PositiveDecimal(decimals=6, required=False, allow_null=True)
    trigger_price = PositiveDecimal(decimals=6, required=False, allow_null=True)
    take_profit_price = PositiveDecimal(
        decimals=6,
        required=False,
        allow_null=True,
        help_text="A second trigger of a stop-loss: the first to come ends the other.",
    )
    trigger = serializers.ChoiceField(
        choices=Order.Trigger.values,
        required=False,
        allow_null=True,
        help_text="Which price a triggered order looks at; last unless said otherwise.",
    )
    trail = TrailField(
        decimals=6,
        required=False,
        allow_null=True,
        help_text='Dollars, like "2.50", or percent, like "1.5%".',
    )
    limit_offset = SignedDecimal(
        decimals=6,
        required=False,
        allow_null=True,
        help_text="Dollars from where a trailing-stop-limit fires to its limit.",
    )
    display_quantity = PositiveDecimal(decimals=8, required=False, allow_null=True)
    time_in_force = serializers.ChoiceField(choices=Order.TimeInForce.values, required=False)
    expires_at = ExpiryField(
        required=False,
        allow_null=True,
        help_text="A moment, or a day: then the order stands until that day ends in New York.",
    )
    deadline = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The engine refuses the order after this."
    )
    post_only = Switch(required=False)
    reduce_only = Switch(required=False)
    self_trade_prevention = serializers.ChoiceField(choices=SELF_TRADE, required=False)
    close = CloseRequest(required=False, allow_null=True)
    client_order_id = serializers.CharField(
        max_length=64, required=False, allow_null=True, allow_blank=False
    )
    validate_only = Switch(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Hold the fields against each other, and name every one that does not fit."""
        wrong: dict[str, list[ErrorDetail]] = {}
        for error in contradictions(draft_of(attrs)):
            wrong.setdefault(error.field or "type", []).append(
                ErrorDetail(error.detail, code=error.code)
            )
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


def draft_of(asked: Mapping[str, Any]) -> OrderDraft:
    """Turn a validated request into what the operations take."""
    given = {name: value for name, value in asked.items() if value is not None}
    if "trail" in given:
        given["trail"], given["trail_percent"] = given["trail"]
    if "close" in given:
        said = {name: value for name, value in given["close"].items() if value is not None}
        given["close"] = Close(**said)
    known = {field.name for field in fields(OrderDraft)}
    return OrderDraft(**{name: value for name, value in given.items() if name in known})


class BatchRequest(StrictSerializer):
    """Up to fifty orders, placed in the order given."""

    orders = OrderRequest(many=True, min_length=1, max_length=50)  # type: ignore[call-arg]


class AmendRequest(StrictSerializer):
    """What of an open order should change."""

    quantity = PositiveDecimal(decimals=8, required=False)
    limit_price = PositiveDecimal(decimals=6, required=False)
    trigger_price = PositiveDecimal(decimals=6, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to change nothing."""
        if not attrs:
            sentence = "Give quantity, limit_price or trigger_price."
            raise serializers.ValidationError({"quantity": sentence})
        return attrs


class CancelFilter(StrictSerializer):
    """Which open orders to cancel; all of them where nothing is said."""

    instrument = InstrumentField(required=False)


class OrderFilter(CancelFilter):
    """How a list of orders may be narrowed."""

    status = serializers.ChoiceField(choices=["open", "closed"], required=False)
    client_order_id = serializers.CharField(max_length=64, required=False)
    since_sequence = serializers.IntegerField(min_value=0, max_value=BIGGEST, required=False)


class OrderAnswer(serializers.Serializer[Order]):
    """An order as it stands; what does not apply is left out."""

    id = serializers.UUIDField()
    client_order_id = serializers.CharField(allow_null=True)
    instrument = serializers.CharField()
    side = serializers.ChoiceField(choices=Order.Side.choices)
    type = serializers.ChoiceField(choices=PLACEABLE)
    status = serializers.ChoiceField(choices=Order.Status.values)
    reason = serializers.CharField(required=False)
    quantity = decimal(required=False)
    notional = decimal(required=False)
    filled_quantity = decimal()
    average_price = decimal(required=False)
    limit_price = decimal(required=False)
    trigger = serializers.ChoiceField(choices=Order.Trigger.values, required=False)
    trigger_price = decimal(required=False)
    take_profit_price = decimal(required=False)
    trail = serializers.CharField(required=False)
    limit_offset = decimal(required=False)
    triggered = serializers.BooleanField(required=False)
    display_quantity = decimal(required=False)
    close = CloseRequest(required=False)
    fee = decimal()
    time_in_force = serializers.ChoiceField(choices=Order.TimeInForce.values)
    expires_at = serializers.DateTimeField(required=False)
    deadline = serializers.DateTimeField(required=False)
    post_only = serializers.BooleanField()
    reduce_only = serializers.BooleanField()
    self_trade_prevention = serializers.ChoiceField(choices=SELF_TRADE)
    placed_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(required=False)
    sequence = serializers.IntegerField(
        required=False, help_text="The number of the last execution that was about it."
    )

    def to_representation(self, instance: Order) -> dict[str, Any]:
        """Say it as the private channel does."""
        return queries.describe_order(instance)


class PreviewAnswer(serializers.Serializer[queries.Preview]):
    """What an order would do if it were placed now."""

    estimated_price = decimal()
    estimated_quantity = decimal()
    estimated_cost = decimal()
    fee = decimal()
    maker_rate = decimal()
    taker_rate = decimal()
    worst_price = decimal()


class FeeTierAnswer(serializers.Serializer[FeeTier]):
    """What trading costs from a volume on; a negative rate is a rebate."""

    min_volume = decimal()
    maker_rate = decimal()
    taker_rate = decimal()

    def to_representation(self, instance: FeeTier) -> dict[str, str]:
        """Write the volume in dollars and the rates as shares of an order's cost."""
        return {
            "min_volume": f"{instance.min_volume_usd:f}",
            "maker_rate": f"{instance.maker_rate:f}",
            "taker_rate": f"{instance.taker_rate:f}",
        }


class FeesAnswer(serializers.Serializer[queries.Fees]):
    """The customer's volume of thirty days in dollars, their tier, and the schedule."""

    volume_30d = decimal()
    tier = FeeTierAnswer()
    schedule = FeeTierAnswer(many=True)


class TradeAnswer(serializers.Serializer[Trade]):
    """One of the customer's trades, seen from their side."""

    id = serializers.UUIDField()
    order_id = serializers.UUIDField()
    instrument = serializers.CharField()
    side = serializers.ChoiceField(choices=Order.Side.choices)
    price = decimal()
    quantity = decimal()
    cost = decimal()
    fee = decimal()
    liquidity = serializers.ChoiceField(choices=["maker", "taker"])
    venue = serializers.ChoiceField(choices=Order.Venue.values)
    executed_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(required=False)

    def to_representation(self, instance: Trade) -> dict[str, Any]:
        """Say it from the customer's side."""
        return queries.describe_trade(instance, self.context["request"].user)


class FieldProblem(serializers.Serializer[Any]):
    """What is wrong with one field, by name."""

    field = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemAnswer(serializers.Serializer[Any]):
    """What went wrong, as RFC 9457 says it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]


class BatchResult(serializers.Serializer[Any]):
    """What became of one order of a batch: the order, or why not."""

    order = OrderAnswer(required=False)
    error = ProblemAnswer(required=False)


class BatchAnswer(serializers.Serializer[Any]):
    """What became of a batch, in the order given."""

    results = BatchResult(many=True)


class CancelBatchRequest(StrictSerializer):
    """Up to fifty open orders to cancel, by id."""

    orders = serializers.ListField(child=IdField(), min_length=1, max_length=50)


class CancelAllAfterRequest(StrictSerializer):
    """When to cancel everything unless this is asked again."""

    timeout_s = serializers.IntegerField(min_value=0, max_value=86_400)


class CancelAllAfterAnswer(serializers.Serializer[Any]):
    """About when the open orders go; null where it is disarmed."""

    cancels_at = serializers.DateTimeField(allow_null=True)


class CancelAllAnswer(serializers.Serializer[Any]):
    """How many open orders are being cancelled."""

    cancelling = serializers.IntegerField()
