"""The REST door of cards."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import users.queries
from common import clock
from common.api import DecimalText, IdempotentPost, StrictSerializer
from spending import operations, queries
from spending.models import Authorization, Card
from spending.operations import FundingChoice
from users.models import User

WEBHOOK_SIGNATURE = "Webhook-Signature"


class CardAnswer(serializers.Serializer[Card]):
    """A card; its number is known to nobody here."""

    id = serializers.UUIDField()
    type = serializers.CharField()
    brand = serializers.CharField()
    last_four = serializers.CharField()
    expires_on = serializers.DateField()
    status = serializers.ChoiceField(Card.Status.choices)
    frozen_reason = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()

    def to_representation(self, card: Card) -> dict[str, Any]:
        """Write one."""
        return queries.describe_card(card)


class SoldAnswer(serializers.Serializer[Any]):
    """Shares sold to pay; quantity in shares, money in dollars; proceeds are less the fee.

    A purchase that is reversed at once gives them back, at the same price and without the fee.
    """

    trade = serializers.UUIDField()
    asset = serializers.CharField()
    quantity = serializers.CharField()
    price = serializers.CharField()
    fee = serializers.CharField()
    proceeds = serializers.CharField()
    given_back = serializers.BooleanField()


class TransactionAnswer(serializers.Serializer[Authorization]):
    """What a merchant asked for and what became of it; money in dollars."""

    id = serializers.UUIDField()
    merchant = serializers.CharField()
    mcc = serializers.CharField()
    amount = serializers.CharField()
    decision = serializers.ChoiceField(Authorization.Decision.choices)
    reason = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Authorization.Status.choices)
    approved_amount = serializers.CharField()
    pending_amount = serializers.CharField()
    captured_amount = serializers.CharField()
    refunded_amount = serializers.CharField()
    cash_amount = serializers.CharField(help_text="What cash paid: the rest is of shares sold.")
    sold = SoldAnswer(many=True)
    requested_at = serializers.DateTimeField()

    def to_representation(self, authorization: Authorization) -> dict[str, Any]:
        """Write one."""
        return queries.describe_authorization(authorization)


class SourceField(StrictSerializer):
    """An asset that pays, and how much of it (dollars or shares) is kept."""

    asset = serializers.CharField(max_length=16)
    keep = DecimalText(max_length=60, default="0")


class FundingBody(StrictSerializer):
    """What pays for a card, in order."""

    sources = SourceField(many=True, allow_empty=False)


def customer_of(request: Request) -> User:
    """Give the signed-in customer; the permissions let nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def own_card(request: Request, uid: UUID) -> Card:
    """Find the customer's card; other people's are not there."""
    return get_object_or_404(queries.cards_of(customer_of(request)), uid=uid)


class CardsView(IdempotentPost, ListAPIView[Card]):
    """The customer's cards."""

    serializer_class = CardAnswer

    @extend_schema(operation_id="cards_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List cards, newest first."""
        return self.list(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        """Give the customer's own."""
        return queries.cards_of(customer_of(self.request))

    @extend_schema(operation_id="cards_issue", request=None, responses={201: CardAnswer})
    def post(self, request: Request) -> Response:
        """Issue a virtual card, ready to pay, for who proved a moment ago that it is them."""
        users.queries.require_fresh(request)
        card = operations.issue_card(user=customer_of(request), now=clock.now())
        return Response(CardAnswer(card).data, status=status.HTTP_201_CREATED)


class CardView(APIView):
    """One card."""

    @extend_schema(operation_id="cards_read", responses=CardAnswer)
    def get(self, request: Request, uid: UUID) -> Response:
        """Show a card."""
        return Response(CardAnswer(own_card(request, uid)).data)


class ActionView(APIView):
    """Something done to a card: a subclass names the operation."""

    @extend_schema(request=None, responses=CardAnswer)
    def post(self, request: Request, uid: UUID) -> Response:
        """Do it, and answer with the card; doing it twice changes nothing."""
        card = self.act(card=own_card(request, uid), actor=customer_of(request), now=clock.now())
        return Response(CardAnswer(card).data)

    act: Any


class ActivateView(ActionView):
    """Let an inactive card pay."""

    act = staticmethod(operations.activate_card)


class FreezeView(ActionView):
    """Stop a card from paying until it is unfrozen."""

    act = staticmethod(operations.freeze_card)


class UnfreezeView(ActionView):
    """Let a frozen card pay again."""

    act = staticmethod(operations.unfreeze_card)


class CancelView(ActionView):
    """Cancel a card for good."""

    act = staticmethod(operations.cancel_card)


class FundingView(APIView):
    """What pays for a card, in order."""

    @extend_schema(operation_id="cards_funding_read", responses=FundingBody)
    def get(self, request: Request, uid: UUID) -> Response:
        """List the sources."""
        sources = queries.sources_of(own_card(request, uid))
        return Response({"sources": [queries.describe_source(source) for source in sources]})

    @extend_schema(operation_id="cards_funding_set", request=FundingBody, responses=FundingBody)
    def put(self, request: Request, uid: UUID) -> Response:
        """Replace the sources."""
        card = own_card(request, uid)
        body = FundingBody(data=request.data)
        body.is_valid(raise_exception=True)
        choices = [FundingChoice(**source) for source in body.validated_data["sources"]]
        operations.set_funding(
            card=card, choices=choices, actor=customer_of(request), now=clock.now()
        )
        return self.get(request, uid)


class TransactionsView(ListAPIView[Authorization]):
    """What was asked of a card."""

    serializer_class = TransactionAnswer
    queryset = Authorization.objects.none()

    @extend_schema(operation_id="cards_transactions")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List authorizations, newest first, with what was sold, taken and refunded."""
        return self.list(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        """Give those of the customer's card."""
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return queries.authorizations_of(own_card(self.request, self.kwargs["uid"]))


class CardWebhook(APIView):
    """The card network's door: signed events in, decisions out."""

    authentication_classes = []
    permission_classes = []
    parser_classes = []

    @extend_schema(exclude=True)
    def post(self, request: Request) -> HttpResponse:
        """Answer one event with the bytes it gets each time it comes."""
        told = operations.receive_event(
            payload=request.body,
            signature=request.headers.get(WEBHOOK_SIGNATURE, ""),
            now=clock.now(),
        )
        return HttpResponse(told, content_type="application/json")
