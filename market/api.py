"""REST: what is traded, at what price, and what it was. Open to everybody, as the socket is."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

import instruments.queries
from common import clock, heartbeats
from common.api import NewestFirst, StrictSerializer
from instruments.models import Instrument
from market import queries
from market.models import Candle, TapeTrade
from market.queries import Ticker, TradeView
from market.rules import candles

MAX_DEPTH = 1000
PAGING = {"cursor", "limit"}  # they are the page's, where a query does not have them


class PartSerializer(serializers.Serializer[Any]):
    """A part of the platform; `detail` says what its silence means."""

    part = serializers.ChoiceField(list(heartbeats.WORDS))
    state = serializers.ChoiceField(["ok", "silent", "unknown"])
    silent_since = serializers.DateTimeField(allow_null=True)
    detail = serializers.CharField(allow_blank=True)


class StatusSerializer(serializers.Serializer[Any]):
    """How the platform is, in one of Kraken's words, and part by part."""

    system = serializers.ChoiceField(["online", *sorted(set(heartbeats.SYSTEM.values()))])
    time = serializers.DateTimeField()
    parts = PartSerializer(many=True)


class Status(APIView):
    """How the platform is: answered in time whatever hangs, so it asks for nobody's session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="status", responses=StatusSerializer)
    def get(self, request: Request) -> Response:
        """Say what works just now.

        `online`, or what is still taken: `limit_only` refuses market orders, `cancel_only` all
        new orders, and under `maintenance` nothing can be done.
        """
        parts = heartbeats.look()
        told = [
            {
                "part": part.name,
                "state": "silent" if part.silent_since else "ok" if part.is_known else "unknown",
                "silent_since": part.silent_since,
                "detail": part.words,
            }
            for part in parts
        ]
        answer = {"system": heartbeats.system(parts), "time": clock.now(), "parts": told}
        return Response(StatusSerializer(answer).data)


class BySymbol(NewestFirst):
    """Cursor pages in the order of symbols; all that are listed fit on the first."""

    ordering = "symbol"
    page_size = 100


class InstrumentSerializer(serializers.Serializer[Any]):
    """An instrument, its rules, and its market just now; null is "not known"."""

    symbol = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(Instrument.Type.choices)
    isin = serializers.CharField(allow_blank=True)
    underlying = serializers.CharField()
    hours = serializers.ChoiceField(Instrument.Hours.choices)
    state = serializers.CharField(help_text="online, cancel_only, post_only, limit_only, …")
    session = serializers.ChoiceField(["open", "closed"])
    session_changes_at = serializers.DateTimeField(allow_null=True)
    tick_size = serializers.CharField()
    quantity_step = serializers.CharField()
    min_notional = serializers.CharField(
        help_text="Dollars that an order is worth at least; a sale of all there is may be less."
    )
    multiplier = serializers.CharField()
    bid = serializers.CharField(allow_null=True)
    ask = serializers.CharField(allow_null=True)
    last = serializers.CharField(allow_null=True)
    reference_price = serializers.CharField(allow_null=True)
    reference_at = serializers.DateTimeField(allow_null=True)
    simulated = serializers.BooleanField(help_text="The reference price is not a real quote.")
    change_24h_pct = serializers.CharField(allow_null=True)
    high_24h = serializers.CharField(allow_null=True)
    low_24h = serializers.CharField(allow_null=True)
    volume_24h = serializers.CharField(help_text="Shares traded here.")


class InstrumentPage(serializers.Serializer[dict[str, Any]]):
    """A page of instruments."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = InstrumentSerializer(many=True)


class BookSerializer(serializers.Serializer[dict[str, Any]]):
    """The best levels of a book: [price, shares], best first."""

    symbol = serializers.CharField()
    bids = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    asks = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    sequence = serializers.IntegerField()
    checksum = serializers.IntegerField(help_text="CRC-32 of the ten best levels, as on the socket")
    time = serializers.CharField(allow_null=True)


class CandleSerializer(serializers.Serializer[Any]):
    """A candle of the reference price; volume and trades are those of this market."""

    time = serializers.DateTimeField()
    open = serializers.CharField()
    high = serializers.CharField()
    low = serializers.CharField()
    close = serializers.CharField()
    volume = serializers.CharField()
    trades = serializers.IntegerField()
    simulated = serializers.BooleanField()


class CandlePage(serializers.Serializer[dict[str, Any]]):
    """Candles, oldest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = CandleSerializer(many=True)


class TradeSerializer(serializers.Serializer[Any]):
    """A public trade; `side` is the taker's."""

    id = serializers.UUIDField(source="uid")
    price = serializers.SerializerMethodField()
    quantity = serializers.SerializerMethodField()
    side = serializers.ChoiceField(TapeTrade.Side.choices)
    time = serializers.DateTimeField(source="at")
    simulated = serializers.BooleanField(help_text="A simulated customer of the demo took part.")

    def get_price(self, trade: TradeView) -> str:
        """Write the price with the tick's decimals."""
        return f"{self.context['instrument'].quoted(trade.price):f}"

    def get_quantity(self, trade: TradeView) -> str:
        """Write the shares."""
        return f"{trade.quantity:f}"


class TradePage(serializers.Serializer[dict[str, Any]]):
    """A page of public trades, newest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TradeSerializer(many=True)


class CandleQuery(StrictSerializer):
    """Which candles are wanted."""

    interval = serializers.ChoiceField(Candle.Interval.choices, default="1m")
    adjusted = serializers.BooleanField(
        default=True, help_text="In shares of now; false gives each candle in shares of its time."
    )
    since = serializers.DateTimeField(default=None)
    limit = serializers.IntegerField(min_value=1, max_value=queries.MAX_CANDLES, default=500)


class TradeQuery(StrictSerializer):
    """Which trades are wanted."""

    adjusted = serializers.BooleanField(
        default=True, help_text="In shares of now; false gives each trade in shares of its time."
    )


class InstrumentQuery(StrictSerializer):
    """Which instruments are wanted: part of a name or symbol, or an ISIN; of a type."""

    search = serializers.CharField(max_length=100, default="", allow_blank=True)
    type = serializers.ChoiceField(Instrument.Type.choices, default="", allow_blank=True)


class BookQuery(StrictSerializer):
    """How deep a book is wanted."""

    depth = serializers.IntegerField(min_value=1, max_value=MAX_DEPTH, default=10)


class PublicView(APIView):
    """Open to everybody."""

    permission_classes = (AllowAny,)

    @staticmethod
    def instrument(symbol: str) -> Instrument:
        """Find a listed instrument, or answer 404."""
        try:
            return instruments.queries.by_symbol(symbol)
        except Instrument.DoesNotExist as error:
            raise Http404 from error

    @staticmethod
    def asked(query: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        """Read the query, or answer 400."""
        given = request.query_params.dict().items()
        known = query().fields
        form = query(data={name: v for name, v in given if name in known or name not in PAGING})
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)


class InstrumentList(PublicView):
    """Everything that is listed."""

    @extend_schema(
        operation_id="instruments_list",
        parameters=[
            InstrumentQuery,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=InstrumentPage,
    )
    def get(self, request: Request) -> Response:
        """List instruments by symbol, with their markets just now."""
        asked = self.asked(InstrumentQuery, request)
        found: QuerySet[Instrument] = instruments.queries.search(
            text=asked["search"], kind=asked["type"]
        )
        pages = BySymbol()
        page = pages.paginate_queryset(found, request, view=self) or []
        tickers = queries.tickers(page)
        rows = [describe(instrument, tickers[instrument.symbol]) for instrument in page]
        return pages.get_paginated_response(InstrumentSerializer(rows, many=True).data)


class InstrumentDetail(PublicView):
    """One instrument."""

    @extend_schema(operation_id="instruments_retrieve", responses=InstrumentSerializer)
    def get(self, request: Request, symbol: str) -> Response:
        """Give an instrument and its market just now."""
        instrument = self.instrument(symbol)
        ticker = queries.tickers([instrument])[instrument.symbol]
        return Response(InstrumentSerializer(describe(instrument, ticker)).data)


class Book(PublicView):
    """An instrument's order book."""

    @extend_schema(parameters=[BookQuery], responses=BookSerializer)
    def get(self, request: Request, symbol: str) -> Response:
        """Give the best levels of both sides."""
        instrument = self.instrument(symbol)
        book = queries.book_of(instrument.symbol, self.asked(BookQuery, request)["depth"])
        return Response(
            {
                "symbol": instrument.symbol,
                "bids": book.bids,
                "asks": book.asks,
                "sequence": book.sequence,
                "checksum": book.checksum,
                "time": book.at,
            }
        )


class Candles(PublicView):
    """An instrument's past prices."""

    @extend_schema(parameters=[CandleQuery], responses=CandlePage)
    def get(self, request: Request, symbol: str) -> Response:
        """Give candles from a time on, or the newest ones where none is given; oldest first."""
        instrument = self.instrument(symbol)
        asked = self.asked(CandleQuery, request)
        found = queries.candles(instrument, **asked)
        following = None
        if asked["since"] and len(found) == asked["limit"]:
            since = found[-1].time + candles.LENGTHS[asked["interval"]]
            following = replace_query_param(
                request.build_absolute_uri(), "since", since.isoformat()
            )
        quoted = instrument.quoted
        rows = [
            {
                "time": row.time,
                "open": f"{quoted(row.open):f}",
                "high": f"{quoted(row.high):f}",
                "low": f"{quoted(row.low):f}",
                "close": f"{quoted(row.close):f}",
                "volume": f"{row.volume:f}",
                "trades": row.trades,
                "simulated": row.simulated,
            }
            for row in found
        ]
        return Response(
            {
                "next": following,
                "previous": None,
                "results": CandleSerializer(rows, many=True).data,
            }
        )


class Trades(PublicView):
    """An instrument's public trades."""

    @extend_schema(
        operation_id="instruments_trades",
        parameters=[TradeQuery, OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=TradePage,
    )
    def get(self, request: Request, symbol: str) -> Response:
        """List trades, newest first."""
        instrument = self.instrument(symbol)
        asked = self.asked(TradeQuery, request)
        pages = NewestFirst()
        page = pages.paginate_queryset(queries.tape(instrument), request, view=self) or []
        found = queries.tape_views(instrument, page, **asked)
        rows = TradeSerializer(found, many=True, context={"instrument": instrument})
        return pages.get_paginated_response(rows.data)


def describe(instrument: Instrument, ticker: Ticker) -> dict[str, Any]:
    """Put an instrument and its market into the API's words."""
    session = queries.session(instrument, clock.now())
    return {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "type": instrument.type,
        "isin": instrument.isin,
        "underlying": instrument.underlying,
        "hours": instrument.hours,
        "state": ticker.state,
        "session": "open" if session.is_open else "closed",
        "session_changes_at": session.next_change,
        "tick_size": f"{instrument.tick_size.normalize():f}",
        "quantity_step": f"{instrument.quantity_step.normalize():f}",
        "min_notional": f"{instrument.quoted(instrument.min_notional):f}",
        "multiplier": f"{instrument.multiplier.normalize():f}",
        "bid": _text(ticker.bid),
        "ask": _text(ticker.ask),
        "last": _text(ticker.last),
        "reference_price": _text(ticker.reference_price),
        "reference_at": ticker.at,
        "simulated": ticker.simulated,
        "change_24h_pct": _text(ticker.change_24h_pct),
        "high_24h": _text(ticker.high_24h),
        "low_24h": _text(ticker.low_24h),
        "volume_24h": f"{ticker.volume_24h:f}",
    }


def _text(value: Any) -> str | None:
    return None if value is None else f"{value:f}"
