"""Deposits over REST, and the door of the bank's webhooks."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common import clock
from common.api import DecimalText, IdempotentPost, StrictSerializer
from common.money import USD, Amount
from payments import operations, queries
from payments.models import DepositInstruction

WEBHOOK_SIGNATURE = "Webhook-Signature"


class DepositRequest(StrictSerializer):
    """How much a customer means to send."""

    asset = serializers.ChoiceField(choices=["USD"], default="USD")
    amount = DecimalText(max_length=40)

    def validate_amount(self, text: str) -> Amount:
        """Read the decimal string."""
        return Amount.parse(text, USD, field="amount")


class BankDetailsAnswer(serializers.Serializer[Any]):
    """Where to send it."""

    beneficiary = serializers.CharField()
    bank = serializers.CharField()
    iban = serializers.CharField()
    bic = serializers.CharField()


class DepositAnswer(serializers.ModelSerializer[DepositInstruction]):
    """A deposit: what was announced, where to send it, and what has arrived."""

    id = serializers.UUIDField(source="uid", read_only=True)
    asset = serializers.CharField(source="asset.code", read_only=True)
    amount = serializers.SerializerMethodField()
    received_amount = serializers.SerializerMethodField()
    bank = serializers.SerializerMethodField()

    class Meta:
        model = DepositInstruction
        fields = [
            "id",
            "asset",
            "amount",
            "received_amount",
            "status",
            "reference",
            "bank",
            "created_at",
            "completed_at",
        ]

    def get_amount(self, instruction: DepositInstruction) -> str:
        """Write what was announced."""
        return str(queries.announced(instruction))

    def get_received_amount(self, instruction: DepositInstruction) -> str:
        """Write what has arrived."""
        return str(queries.received(instruction))

    @extend_schema(responses=BankDetailsAnswer)
    def get_bank(self, _instruction: DepositInstruction) -> dict[str, str]:
        """Write our account at the bank."""
        return dict(BankDetailsAnswer(queries.bank_details()).data)


class Deposits(IdempotentPost, GenericAPIView[DepositInstruction]):
    """A customer's deposits."""

    serializer_class = DepositAnswer

    @extend_schema(operation_id="deposits_list", responses=DepositAnswer(many=True))
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        assert request.user.is_authenticated
        page = self.paginate_queryset(queries.deposits_of(request.user))
        return self.get_paginated_response(DepositAnswer(page, many=True).data)

    @extend_schema(request=DepositRequest, responses={201: DepositAnswer})
    def post(self, request: Request) -> Response:
        """Announce one, and get the reference and the bank details to send it with."""
        assert request.user.is_authenticated
        wish = DepositRequest(data=request.data)
        wish.is_valid(raise_exception=True)
        instruction = operations.announce_deposit(
            user=request.user, amount=wish.validated_data["amount"], now=clock.now()
        )
        return Response(DepositAnswer(instruction).data, status=status.HTTP_201_CREATED)


class BankWebhook(APIView):
    """What the bank posts. Nobody is signed in: the signature over the body is the proof."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Take it; the same news again is answered the same."""
        credit = operations.receive_bank_webhook(
            payload=request._request.body,  # noqa: SLF001 - signed are the bytes, not what they mean
            signature=request.headers.get(WEBHOOK_SIGNATURE, ""),
            now=clock.now(),
        )
        return Response({"id": credit.external_id, "matched": credit.user_id is not None})
