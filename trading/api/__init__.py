"""The REST door of trading."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common import clock
from common.api import IdempotentPost, problem_of, request_id_of
from common.errors import DomainError
from trading import operations, queries
from trading.api.serializers import (
    AmendRequest,
    BatchAnswer,
    BatchRequest,
    CancelAllAfterAnswer,
    CancelAllAfterRequest,
    CancelAllAnswer,
    CancelBatchRequest,
    CancelFilter,
    FeesAnswer,
    OrderAnswer,
    OrderFilter,
    OrderRequest,
    PreviewAnswer,
    TradeAnswer,
    draft_of,
)
from trading.models import Order
from users.models import User

KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="The same key and body get the first answer again, for 24 hours.",
)
STATUS = OpenApiParameter("status", enum=["open", "closed"])
SINCE = OpenApiParameter(
    "since_sequence",
    int,
    description="Only orders that had an execution after the one of this number. Executions on"
    " /ws/v2/private carry a sequence without gaps: after a gap, ask with the last one seen.",
)
INSTRUMENT = OpenApiParameter("instrument", description="A symbol: AAPLx.")
NEVER = -1  # before every execution, and before an order had any
PAGING = {"cursor", "limit"}


def read(serializer: Any, data: Any) -> Any:
    """Validate a body or a query.

    :raises rest_framework.exceptions.ValidationError: naming every field that does not fit
    """
    body = serializer(data=data, context={"instruments": {}})
    body.is_valid(raise_exception=True)
    return body.validated_data


def customer_of(request: Request) -> User:
    """Give who asks; the default permission lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def own_order(request: Request, uid: UUID) -> Order:
    """Find the customer's order; other people's are not there."""
    return get_object_or_404(queries.orders_of(customer_of(request)), uid=uid)


class OrdersView(IdempotentPost, ListAPIView[Order]):
    """Place an order, list orders, cancel all open ones."""

    serializer_class = OrderAnswer

    @extend_schema(
        operation_id="orders_place",
        parameters=[KEY],
        request=OrderRequest,
        responses={201: OrderAnswer, 200: PreviewAnswer},
    )
    def post(self, request: Request) -> Response:
        """Place an order.

        With `validate_only` nothing is placed: the answer is 200 and a preview.
        """
        asked = read(OrderRequest, request.data)
        draft = draft_of(asked)
        now = clock.now()
        if asked.get("validate_only"):
            preview = operations.validate_order(draft=draft, customer=customer_of(request), now=now)
            return Response(PreviewAnswer(preview).data)
        order = operations.place_order(draft=draft, customer=customer_of(request), now=now)
        return Response(OrderAnswer(order).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="orders_list", parameters=[STATUS, INSTRUMENT, SINCE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List orders, newest first."""
        return self.list(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        """Narrow to what was asked for."""
        given = self.request.query_params.dict()
        asked = read(OrderFilter, {k: v for k, v in given.items() if k not in PAGING})
        orders = queries.changed_since(
            customer_of(self.request), asked.get("since_sequence", NEVER)
        )
        if "status" in asked:
            orders = orders.filter(closed_at__isnull=asked["status"] == "open")
        if "instrument" in asked:
            orders = orders.filter(instrument=asked["instrument"])
        if "client_order_id" in asked:
            orders = orders.filter(client_order_id=asked["client_order_id"])
        return orders

    @extend_schema(
        operation_id="orders_cancel_all",
        parameters=[INSTRUMENT],
        request=None,
        responses={202: CancelAllAnswer},
    )
    def delete(self, request: Request) -> Response:
        """Cancel all open orders, or all of one instrument."""
        asked = read(CancelFilter, request.query_params.dict())
        count = operations.cancel_orders(
            customer=customer_of(request), instrument=asked.get("instrument"), now=clock.now()
        )
        return Response({"cancelling": count}, status=status.HTTP_202_ACCEPTED)


class CancelAllAfterView(APIView):
    """A dead-man switch for programs that trade."""

    @extend_schema(request=CancelAllAfterRequest, responses={202: CancelAllAfterAnswer})
    def post(self, request: Request) -> Response:
        """Cancel all open orders after so many seconds, unless asked again; 0 disarms."""
        asked = read(CancelAllAfterRequest, request.data)
        at = operations.cancel_orders_after(
            customer=customer_of(request), timeout_s=asked["timeout_s"], now=clock.now()
        )
        answer = CancelAllAfterAnswer({"cancels_at": at}).data
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class PreviewView(APIView):
    """Say what an order would do, without placing it."""

    @extend_schema(request=OrderRequest, responses={200: PreviewAnswer})
    def post(self, request: Request) -> Response:
        """Estimate price, quantity, cost and fee of an order, and the worst price it can get."""
        draft = draft_of(read(OrderRequest, request.data))
        preview = queries.preview(draft=draft, customer=customer_of(request), now=clock.now())
        return Response(PreviewAnswer(preview).data)


class BatchView(IdempotentPost, APIView):
    """Place up to fifty orders in one call."""

    @extend_schema(
        operation_id="orders_place_batch",
        parameters=[KEY],
        request=BatchRequest,
        responses={200: BatchAnswer},
    )
    def post(self, request: Request) -> Response:
        """Place orders in the order given; each succeeds or is refused by itself."""
        asked = read(BatchRequest, request.data)["orders"]
        results = operations.place_orders(
            drafts=[draft_of(one) for one in asked], customer=customer_of(request), now=clock.now()
        )
        request_id = request_id_of(request)
        return Response({"results": [answer(result, request_id) for result in results]})


def answer(result: Order | DomainError, request_id: str) -> dict[str, Any]:
    """Write what became of one order of a batch."""
    if isinstance(result, DomainError):
        return {"error": problem_of(result, request_id=request_id)}
    return {"order": OrderAnswer(result).data}


class CancelBatchView(APIView):
    """Cancel up to fifty orders in one call."""

    @extend_schema(
        operation_id="orders_cancel_batch",
        request=CancelBatchRequest,
        responses={202: BatchAnswer},
    )
    def post(self, request: Request) -> Response:
        """Ask for orders to be taken off the book; each succeeds or is refused by itself."""
        uids = read(CancelBatchRequest, request.data)["orders"]
        results = operations.cancel_each(customer=customer_of(request), uids=uids, now=clock.now())
        said = [answer(result, request_id_of(request)) for result in results]
        return Response({"results": said}, status=status.HTTP_202_ACCEPTED)


class OrderView(APIView):
    """One order: read it, amend it, cancel it."""

    @extend_schema(operation_id="orders_read", responses={200: OrderAnswer})
    def get(self, request: Request, uid: UUID) -> Response:
        """Show an order as it stands."""
        return Response(OrderAnswer(own_order(request, uid)).data)

    @extend_schema(
        operation_id="orders_amend",
        request=AmendRequest,
        responses={202: OrderAnswer},
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        """Ask for another quantity, limit or trigger; the engine answers by the order's state.

        A smaller quantity alone keeps the order's place in the queue.
        """
        order = own_order(request, uid)
        asked = read(AmendRequest, request.data)
        order = operations.amend_order(order=order, now=clock.now(), **asked)
        return Response(OrderAnswer(order).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        operation_id="orders_cancel",
        request=None,
        responses={202: OrderAnswer},
    )
    def delete(self, request: Request, uid: UUID) -> Response:
        """Ask for what is left of the order to be taken off the book."""
        order = operations.cancel_order(order=own_order(request, uid), now=clock.now())
        return Response(OrderAnswer(order).data, status=status.HTTP_202_ACCEPTED)


class FeesView(APIView):
    """What trading costs the customer."""

    @extend_schema(operation_id="fees_read", responses={200: FeesAnswer})
    def get(self, request: Request) -> Response:
        """Show the volume of thirty days, the tier it reached, and the whole schedule."""
        return Response(FeesAnswer(queries.fees_of(customer_of(request), clock.now())).data)


class TradesView(ListAPIView[Any]):
    """The customer's trades."""

    serializer_class = TradeAnswer

    @extend_schema(operation_id="trades_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List trades, newest first."""
        return self.list(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        """Give the customer's own."""
        return queries.trades_of(customer_of(self.request))
