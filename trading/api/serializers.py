"""The bodies of the REST door of trading: what comes in, and what goes out."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rest_framework import serializers

from trading import queries
from trading.api.fields import InstrumentField, PositiveDecimal, StrictSerializer, Switch
from trading.models import FeeTier, Order, Trade
from trading.operations import OrderDraft

PLACEABLE = [value for value in Order.Type.values if value != Order.Type.QUOTE]


def decimal(*, required: bool = True) -> serializers.DecimalField:
    """Describe a decimal string that goes out."""
    return serializers.DecimalField(None, None, required=required)


NEEDS_LIMIT = {
    Order.Type.LIMIT,
    Order.Type.STOP_LOSS_LIMIT,
    Order.Type.TAKE_PROFIT_LIMIT,
    Order.Type.ICEBERG,
}
LATER = ("trigger_price", "trigger", "trail", "display_quantity", "close")
NO_LIMIT = {Order.Type.MARKET, Order.Type.STOP_LOSS, Order.Type.TAKE_PROFIT}


class OrderRequest(StrictSerializer):
    """An order as a customer asks for it: by `quantity` in shares or by `notional` in dollars."""

    instrument = InstrumentField()
    side = serializers.ChoiceField(choices=Order.Side.choices)
    type = serializers.ChoiceField(choices=PLACEABLE)
    quantity = PositiveDecimal(decimals=8, required=False, allow_null=True)
    notional = PositiveDecimal(decimals=6, required=False, allow_null=True)
    limit_price = PositiveDecimal(decimals=6, required=False, allow_null=True)
    trigger_price = PositiveDecimal(decimals=6, required=False, allow_null=True)
    trigger = serializers.ChoiceField(choices=["last", "index"], required=False, allow_null=True)
    trail = PositiveDecimal(decimals=6, required=False, allow_null=True)
    display_quantity = PositiveDecimal(decimals=8, required=False, allow_null=True)
    time_in_force = serializers.ChoiceField(choices=Order.TimeInForce.values, required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    post_only = Switch(required=False)
    reduce_only = Switch(required=False)
    self_trade_prevention = serializers.ChoiceField(
        choices=["cancel_newest", "cancel_oldest", "cancel_both"], required=False
    )
    close = serializers.DictField(required=False, allow_null=True)
    client_order_id = serializers.CharField(
        max_length=64, required=False, allow_null=True, allow_blank=False
    )
    validate_only = Switch(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Hold the fields against each other, and name every one that does not fit."""
        wrong = dict(misfits(attrs))
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


def misfits(asked: Mapping[str, Any]) -> Any:
    """Yield (field, sentence) for what contradicts itself in an order."""
    if (asked.get("quantity") is None) == (asked.get("notional") is None):
        yield "quantity", "Give either quantity (shares) or notional (dollars), one of the two."
    kind, limit = asked["type"], asked.get("limit_price")
    if kind in NEEDS_LIMIT and limit is None:
        yield "limit_price", f"A {kind} order needs a limit_price."
    if kind in NO_LIMIT and limit is not None:
        yield "limit_price", f"A {kind} order takes no limit_price; leave it out."
    if kind in {Order.Type.MARKET, Order.Type.LIMIT}:
        for field in LATER:
            if asked.get(field) is not None:
                yield field, f"A {kind} order takes no {field} here; leave it out."
    until, force = asked.get("expires_at"), asked.get("time_in_force")
    if (until is None) == (force == Order.TimeInForce.GTD):
        yield (
            "expires_at",
            "expires_at and time_in_force gtd belong together; give both or neither.",
        )


def draft_of(asked: Mapping[str, Any]) -> OrderDraft:
    """Turn a validated request into what the operations take."""
    known = {field.name for field in fields(OrderDraft)}
    return OrderDraft(**{name: value for name, value in asked.items() if name in known and value})


class BatchRequest(StrictSerializer):
    """Up to fifty orders, placed in the order given."""

    orders = OrderRequest(many=True, min_length=1, max_length=50)  # type: ignore[call-arg]


class AmendRequest(StrictSerializer):
    """What of an open order should change."""

    quantity = PositiveDecimal(decimals=8, required=False)
    limit_price = PositiveDecimal(decimals=6, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to change nothing."""
        if not attrs:
            raise serializers.ValidationError({"quantity": "Give quantity, limit_price, or both."})
        return attrs


class CancelFilter(StrictSerializer):
    """Which open orders to cancel; all of them where nothing is said."""

    instrument = InstrumentField(required=False)


class OrderFilter(CancelFilter):
    """How a list of orders may be narrowed."""

    status = serializers.ChoiceField(choices=["open", "closed"], required=False)


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
    fee = decimal()
    time_in_force = serializers.ChoiceField(choices=Order.TimeInForce.values)
    post_only = serializers.BooleanField()
    placed_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(required=False)

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


class ProblemAnswer(serializers.Serializer[Any]):
    """What went wrong, as RFC 9457 says it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()


class BatchResult(serializers.Serializer[Any]):
    """What became of one order of a batch: the order, or why not."""

    order = OrderAnswer(required=False)
    error = ProblemAnswer(required=False)


class BatchAnswer(serializers.Serializer[Any]):
    """What became of a batch, in the order given."""

    results = BatchResult(many=True)


class CancelAllAfterRequest(StrictSerializer):
    """When to cancel everything unless this is asked again."""

    timeout_s = serializers.IntegerField(min_value=0, max_value=86_400)


class CancelAllAfterAnswer(serializers.Serializer[Any]):
    """About when the open orders go; null where it is disarmed."""

    cancels_at = serializers.DateTimeField(allow_null=True)


class CancelAllAnswer(serializers.Serializer[Any]):
    """How many open orders are being cancelled."""

    cancelling = serializers.IntegerField()
