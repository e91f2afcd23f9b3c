"""The REST door of the portfolio."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from common import clock
from common.api import CursorInvalid, NewestFirst
from portfolio import queries
from users.models import User

CURSOR = "cursor"


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
    held = serializers.CharField(
        help_text="Shares set aside for orders; `quantity` has them still."
    )
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


class ActivityPages(NewestFirst):
    """Pages of the activity: a cursor is a place in it, and the way on from there."""

    ways = {"o": False, "n": True}  # to the older, to the newer

    def page_of(self, customer: User, request: Request) -> list[queries.Item]:
        """Read the page that is asked for.

        :raises CursorInvalid: for a cursor that names no place
        :raises LimitInvalid: for a limit that is no number, or beyond the bound
        """
        self.base_url = request.build_absolute_uri()
        limit = self.get_page_size(request) or self.page_size
        beyond, newer = self.place(request.query_params.get(CURSOR, ""))
        self.found = queries.page_of(customer, limit=limit, beyond=beyond, newer=newer)
        return self.found.items

    def place(self, cursor: str) -> tuple[queries.Place | None, bool]:
        """Read a cursor: a place, and whether to go on to the newer from there."""
        if not cursor:
            return None, False
        way, text = cursor[0], cursor[1:]
        try:
            return queries.Place.read(text), self.ways[way]
        except (ValueError, KeyError) as error:
            raise CursorInvalid from error

    def get_next_link(self) -> str | None:
        """Lead to the older."""
        return self._link("o", self.found.older)

    def get_previous_link(self) -> str | None:
        """Lead to the newer."""
        return self._link("n", self.found.newer)

    def _link(self, way: str, place: queries.Place | None) -> str | None:
        if place is None:
            return None
        link: str = replace_query_param(str(self.base_url), CURSOR, f"{way}{place}")
        return link


class ActivityView(ListAPIView[Any]):
    """Everything that moved value."""

    serializer_class = ActivityAnswer
    pagination_class = ActivityPages

    @extend_schema(operation_id="activity")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List events, newest first: what the books moved, and what cards were asked for."""
        pages = ActivityPages()
        items = pages.page_of(customer_of(request), request)
        return pages.get_paginated_response([queries.describe_item(item) for item in items])
