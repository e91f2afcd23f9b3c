"""Verification over REST."""

from typing import Any

from django.urls import reverse
from django_countries.serializer_fields import CountryField
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import users.operations
from common import clock
from common.api import StrictSerializer
from kyc import operations, queries, rules
from kyc.models import Application
from users.models import NUMBER_FORMATS, User


class CanAnswer(serializers.Serializer[Any]):
    """What is allowed now."""

    trade = serializers.BooleanField()
    close = serializers.BooleanField()
    spend = serializers.BooleanField()
    deposit = serializers.BooleanField()
    withdraw = serializers.BooleanField()


class MeAnswer(serializers.Serializer[Any]):
    """A customer's standing; `because` says in sentences why something is not allowed."""

    email = serializers.EmailField()
    status = serializers.CharField()
    tier = serializers.CharField()
    can = CanAnswer()
    because = serializers.ListField(child=serializers.CharField())


class AgreementAnswer(serializers.Serializer[Any]):
    """An agreement in its present version, and where to read it."""

    document = serializers.CharField()
    version = serializers.CharField()
    title = serializers.CharField()
    url = serializers.SerializerMethodField()

    def get_url(self, agreement: rules.Agreement) -> str:
        """Give its page."""
        return reverse("kyc:agreement", args=[agreement.document])


class Answers(StrictSerializer, serializers.ModelSerializer[Application]):
    """The answers of an application; those left out stay as they are."""

    first_names = serializers.CharField(required=False, allow_blank=True, max_length=120)
    last_names = serializers.CharField(required=False, allow_blank=True, max_length=120)
    birth_date = serializers.DateField(required=False, allow_null=True)
    street = serializers.CharField(required=False, allow_blank=True, max_length=200)
    postal_code = serializers.CharField(required=False, allow_blank=True, max_length=20)
    city = serializers.CharField(required=False, allow_blank=True, max_length=100)
    tax_id = serializers.CharField(required=False, allow_blank=True, max_length=40)
    residence = CountryField(required=False)  # type: ignore[no-untyped-call]
    citizenship = CountryField(required=False)  # type: ignore[no-untyped-call]
    tax_residence = CountryField(required=False)  # type: ignore[no-untyped-call]

    class Meta:
        model = Application
        fields = queries.REQUIRED


class ApplicationAnswer(Answers):
    """An application: answers, where it stands, and what is still missing."""

    id = serializers.UUIDField(source="uid", read_only=True)
    missing = serializers.SerializerMethodField()
    agreements = serializers.SerializerMethodField()

    class Meta:
        model = Application
        fields = [
            "id",
            "status",
            *queries.REQUIRED,
            "missing",
            "agreements",
            "message",
            "submitted_at",
            "decided_at",
        ]

    def get_missing(self, application: Application) -> list[str]:
        """Name the answers that are still missing."""
        return queries.missing_fields(application)

    @extend_schema(responses=AgreementAnswer(many=True))
    def get_agreements(self, _application: Application) -> Any:
        """Give what has to be accepted on submission."""
        return AgreementAnswer(rules.AGREEMENTS, many=True).data


class AcceptedAgreement(StrictSerializer):
    """An agreement by document and version."""

    document = serializers.CharField(max_length=40)
    version = serializers.CharField(max_length=20)


class SubmitRequest(StrictSerializer):
    """The agreements that the customer accepted."""

    agreements = AcceptedAgreement(many=True, required=False)


class Me(APIView):
    """Who is signed in, and what they may do."""

    @extend_schema(responses=MeAnswer)
    def get(self, request: Request) -> Response:
        """Say it under the policy of today."""
        user = _user(request)
        standing = queries.standing(user)
        return Response(
            {
                "email": user.email,
                "status": standing.status,
                "tier": standing.tier,
                "can": standing.can,
                "because": standing.because,
            }
        )


class ApplicationView(APIView):
    """The customer's application."""

    @extend_schema(responses=ApplicationAnswer)
    def get(self, request: Request) -> Response:
        """Show it; before the first answer it is an empty draft."""
        user = _user(request)
        application = queries.application_of(user) or Application(user=user)
        return Response(ApplicationAnswer(application).data)

    @extend_schema(request=Answers, responses=ApplicationAnswer)
    def put(self, request: Request) -> Response:
        """Keep the answers given."""
        answers = Answers(data=request.data, partial=True)
        answers.is_valid(raise_exception=True)
        application = operations.save_draft(
            user=_user(request), answers=answers.validated_data, now=clock.now()
        )
        return Response(ApplicationAnswer(application).data)


class Submission(APIView):
    """The handing in of an application."""

    @extend_schema(request=SubmitRequest, responses=ApplicationAnswer)
    def post(self, request: Request) -> Response:
        """Hand it in with the agreements accepted; the answer says where it stands now."""
        wish = SubmitRequest(data=request.data)
        wish.is_valid(raise_exception=True)
        accepted = wish.validated_data.get("agreements", [])
        application = operations.submit(
            user=_user(request),
            agreements=[(one["document"], one["version"]) for one in accepted],
            ip_address=request.META["REMOTE_ADDR"],
            now=clock.now(),
        )
        return Response(ApplicationAnswer(application).data)


class Preferences(StrictSerializer):
    """How numbers are written on a customer's pages, and the clock of their pages and mails."""

    number_format = serializers.ChoiceField(
        NUMBER_FORMATS, help_text="Empty until a browser or the customer has told."
    )
    time_zone = serializers.CharField(
        max_length=64, help_text='An IANA name, like "Europe/Berlin"; empty is UTC.'
    )


class PreferencesView(APIView):
    """How the customer reads; this API itself writes plain decimals and UTC."""

    @extend_schema(operation_id="me_preferences_read", responses=Preferences)
    def get(self, request: Request) -> Response:
        """Say what is chosen."""
        return Response(self._chosen(request))

    @extend_schema(operation_id="me_preferences_change", request=Preferences, responses=Preferences)
    def patch(self, request: Request) -> Response:
        """Choose; what is left out stays."""
        wish = Preferences(data=request.data, partial=True)
        wish.is_valid(raise_exception=True)
        chosen = self._chosen(request) | wish.validated_data
        users.operations.choose_preferences(user=_user(request), **chosen)
        return Response(self._chosen(request))

    @staticmethod
    def _chosen(request: Request) -> dict[str, str]:
        user = _user(request)
        return {"number_format": user.number_format, "time_zone": user.time_zone}


def _user(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user
