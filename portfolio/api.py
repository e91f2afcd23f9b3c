"""The REST door of the portfolio."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common import clock
from common.api import NewestFirst
from portfolio import queries
from users.models import User


class BalanceAnswer(serializers.Serializer[Any]):
    """What there is of an asset: dollars, or shares after the multiplier."""

    asset = serializers.CharField()
    total = serializers.CharField()
    held = serializers.CharField()
    available = serializers.CharField()


class PositionAnswer(serializers.Serializer[Any]):
    """One holding: quantities in shares, money in dollars; null is not known."""

    instrument = serializers.CharField()
    quantity = serializers.CharField()
    available = serializers.CharField()
    average_cost = serializers.CharField(allow_null=True)
    price = serializers.CharField(allow_null=True)
    market_value = serializers.CharField(allow_null=True)
    unrealized_pnl = serializers.CharField(allow_null=True)
    realized_pnl = serializers.CharField()
    day_change = serializers.CharField(allow_null=True)
    change_24h_pct = serializers.CharField(allow_null=True)


class ClosedAnswer(serializers.Serializer[Any]):
    """A position that was sold out, and its result in dollars, fees included."""

    instrument = serializers.CharField()
    cost = serializers.CharField()
    proceeds = serializers.CharField()
    realized_pnl = serializers.CharField()
    closed_at = serializers.DateTimeField()


class PendingAnswer(serializers.Serializer[Any]):
    """Dollars that are set aside until they are taken or given back; `cash` has them still."""

    card = serializers.CharField()
    orders = serializers.CharField()
    debt = serializers.CharField(help_text="goes to what the customer owes")


class PortfolioAnswer(serializers.Serializer[Any]):
    """Everything a customer has, in dollars."""

    total_value = serializers.CharField()
    cash = serializers.CharField()
    cash_available = serializers.CharField()
    owed = serializers.CharField(help_text="by a merchant who took more than there was")
    pending = PendingAnswer()
    day_change = serializers.CharField()
    day_change_pct = serializers.CharField(allow_null=True)
    realized_pnl = serializers.CharField()
    positions = PositionAnswer(many=True)
    closed_positions = ClosedAnswer(many=True)


class MovedAnswer(serializers.Serializer[Any]):
    """What came (+) or went (-) of an asset."""

    asset = serializers.CharField()
    amount = serializers.CharField()


class ActivityAnswer(serializers.Serializer[Any]):
    """One event that moved value."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    detail = serializers.CharField()
    instrument = serializers.CharField(allow_null=True)
    amounts = MovedAnswer(many=True)
    reference = serializers.CharField()
    occurred_at = serializers.DateTimeField()


def customer_of(request: Request) -> User:
    """Give the signed-in customer; the permissions let nobody else in."""
    assert isinstance(request.user, User)
    return request.user


class BalancesView(APIView):
    """What there is of each asset."""

    @extend_schema(operation_id="balances", responses=BalanceAnswer(many=True))
    def get(self, request: Request) -> Response:
        """List balances, dollars first."""
        return Response(queries.balances(customer_of(request)))


class PortfolioView(APIView):
    """Everything a customer has."""

    @extend_schema(operation_id="portfolio", responses=PortfolioAnswer)
    def get(self, request: Request) -> Response:
        """Show total, cash and positions at the reference prices of now."""
        whole = queries.summary(customer_of(request), now=clock.now())
        return Response(queries.describe_summary(whole))


class LatestFirst(NewestFirst):
    """Pages by when it happened."""

    ordering = ("-occurred_at", "-id")  # type: ignore[assignment]  # DRF takes several


class ActivityView(ListAPIView[Any]):
    """Everything that moved value."""

    serializer_class = ActivityAnswer
    pagination_class = LatestFirst

    @extend_schema(operation_id="activity")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List events, newest first; what cards were asked for comes with the page of its time."""
        customer = customer_of(request)
        page = list(self.paginate_queryset(queries.activity_of(customer)) or [])
        pages: Any = self.paginator
        until = queries.next_newer(customer, page[0]) if page and pages.has_previous else None
        items = queries.items_of(page, customer)
        items = queries.with_unposted(items, customer, until=until, last=not pages.has_next)
        return self.get_paginated_response([queries.describe_item(item) for item in items])
