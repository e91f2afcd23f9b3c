"""The queue of applications, their decision, and the policy, for staff."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

import users.operations
import users.queries
from common import clock
from common.admin import ProposedRows, ReadOnly, ask, facts
from kyc import operations, queries
from kyc.forms import (
    ApproveForm,
    EndForm,
    FreezeForm,
    LiftForm,
    RejectForm,
    ReopenForm,
    RestrictForm,
)
from kyc.models import AgreementAcceptance, Application, CheckResult, RestrictedPlace
from users.models import User
from users.operations import ProposalKind

Status = Application.Status

# What staff may do with an application of a status.
OFFERED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(queries.QUEUE, ("approve", "reject")),
    Status.REJECTED: ("reopen",),
    Status.ACTIVE: ("restrict", "freeze"),
    Status.RESTRICTED: ("freeze", "lift"),
    Status.FROZEN: ("lift",),
}


class CheckResultInline(ReadOnly, TabularInline):
    """What the checks found."""

    model = CheckResult
    extra = 0
    fields = ("name", "outcome", "found", "checked_at")
    readonly_fields = fields

    @admin.display(description="evidence")
    def found(self, result: CheckResult) -> SafeString:
        """Show what the check went by."""
        return facts(result.evidence)


class AgreementInline(ReadOnly, TabularInline):
    """What the applicant agreed to."""

    model = AgreementAcceptance
    extra = 0
    fields = ("document", "document_version", "accepted_at", "ip_address")
    readonly_fields = fields


class QueueFilter(admin.SimpleListFilter):
    """Show what waits for a decision."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the queue, beside everything."""
        return [("waiting", "Waits for a decision")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Application]
    ) -> QuerySet[Application]:
        """Narrow to the queue."""
        return queryset.filter(status__in=queries.QUEUE) if self.value() else queryset


@admin.register(Application)
class ApplicationAdmin(ReadOnly, ModelAdmin):
    """Applications; approve and reject are on each one's page, and there are no bulk approvals."""

    list_display = ("user", "__str__", "status", "residence", "submitted_at", "decided_by")
    list_filter = (QueueFilter, "status")
    list_select_related = ("user", "decided_by")
    search_fields = ("user__email", "uid")
    search_help_text = "An e-mail address, the id, or words of the name"
    ordering = ("-submitted_at",)
    actions = None
    actions_detail = ("approve", "reject", "reopen", "restrict", "freeze", "lift")
    inlines = (CheckResultInline, AgreementInline)
    fieldsets = (
        (None, {"fields": ("user", "status", "submitted_at", "version")}),
        (
            "Answers",
            {
                "fields": (
                    ("first_names", "last_names"),
                    "birth_date",
                    "street",
                    ("postal_code", "city"),
                    "residence",
                    ("citizenship", "tax_residence"),
                    "masked_tax_id",
                    "us_person",
                )
            },
        ),
        ("Decision", {"fields": ("decided_by", "decided_at", "message", "internal_note")}),
    )
    readonly_fields = ("masked_tax_id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Application], search_term: str
    ) -> tuple[QuerySet[Application], bool]:
        """Find people by their names too, which are encrypted: only whole words match."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            found |= queryset.filter(pk__in=queries.named(search_term))
        return found, may_repeat

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Offer only what the case's state allows."""
        status = Application.objects.filter(pk=object_id).values_list("status", flat=True).first()
        offered = OFFERED.get(str(status), ())
        return [
            one for one in super().get_actions_detail(request, object_id) if one.path in offered
        ]

    def has_restrict_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may stop accounts."""
        return request.user.has_perm("kyc.restrict_account")

    def has_review_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may prepare decisions on applications."""
        return users.queries.may_propose(request.user, operations.APPROVE.name)

    @action(description="Approve", url_path="approve", permissions=["review"])  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to open the account."""
        return self._propose(request, object_id, ApproveForm, operations.APPROVE)

    @action(description="Reject", url_path="reject", permissions=["review"])  # type: ignore[untyped-decorator]
    def reject(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to refuse to open the account."""
        return self._propose(request, object_id, RejectForm, operations.REJECT)

    @action(description="Let them correct it", url_path="reopen", permissions=["review"])  # type: ignore[untyped-decorator]
    def reopen(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to give a rejected application back."""
        return self._propose(request, object_id, ReopenForm, operations.REOPEN)

    @action(description="Restrict now", url_path="restrict", permissions=["restrict"])  # type: ignore[untyped-decorator]
    def restrict(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let the customer only sell and withdraw, at once."""
        return self._stop(request, object_id, RestrictForm, operations.restrict)

    @action(description="Freeze now", url_path="freeze", permissions=["restrict"])  # type: ignore[untyped-decorator]
    def freeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Stop everything on the account, at once."""
        return self._stop(request, object_id, FreezeForm, operations.freeze)

    @action(description="Lift", url_path="lift", permissions=["review"])  # type: ignore[untyped-decorator]
    def lift(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose to open a restricted or frozen account again."""
        return self._propose(request, object_id, LiftForm, operations.LIFT)

    def _stop(self, request: HttpRequest, object_id: int, form: Any, verb: Any) -> HttpResponse:
        """Ask for the words, and stop the account that was shown."""

        def do(application: Application, words: dict[str, Any]) -> str:
            assert isinstance(request.user, User)
            words["internal_note"] = words.pop("reason")
            verb(application=application, actor=request.user, now=clock.now(), **words)
            return "Done, and the customer has been told."

        return self._ask(request, object_id, form, do)

    def _propose(
        self, request: HttpRequest, object_id: int, form: Any, kind: ProposalKind
    ) -> HttpResponse:
        """Ask for the words of a decision on the version that was shown; another person decides."""

        def do(application: Application, words: dict[str, Any]) -> str:
            payload = {"application": application.uid, **words}
            return propose(request, kind, payload, payload.pop("reason"))

        return self._ask(request, object_id, form, do)

    def _ask(self, request: HttpRequest, object_id: int, form: Any, do: Any) -> HttpResponse:
        """Ask for words beside the answers."""
        application = get_object_or_404(Application, pk=object_id)
        answers = [
            f"{application}, born {application.birth_date}, {application.user.email}",
            f"{application.street}, {application.postal_code} {application.city}",
            f"Lives in {application.residence.name}, citizen of {application.citizenship.name}",
            f"Pays tax in {application.tax_residence.name}, US person: {application.us_person}",
            *(f"Check “{check.name}”: {check.outcome}" for check in application.checks.all()),
        ]
        return ask(
            request,
            self,
            form=form(request.POST or None, initial={"version": application.version}),
            title=form.title,
            facts=answers,
            back=reverse("admin:kyc_application_change", args=[object_id]),
            do=lambda words: do(application, words),
        )


def propose(request: HttpRequest, kind: ProposalKind, payload: dict[str, Any], why: str) -> str:
    """Propose something, and say so."""
    assert isinstance(request.user, User)
    users.operations.propose(
        kind=kind.name, payload=payload, actor=request.user, reason=why, now=clock.now()
    )
    return "Proposed: another person decides."


@admin.register(RestrictedPlace)
class RestrictedPlaceAdmin(ProposedRows):
    """The policy: dated rows, proposed by one and decided by another. None is deleted."""

    list_display = ("country", "ground", "reason", "since", "until")
    list_filter = ("ground",)
    search_fields = ("country", "reason")
    ordering = ("country", "ground")
    actions_detail = ("end",)
    add_title = "Propose a restriction"

    def may_propose(self, request: HttpRequest) -> bool:
        """Let those propose a row whose role does."""
        return users.queries.may_propose(request.user, operations.RESTRICT_PLACE.name)

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose a row."""
        why = words.pop("why")
        return propose(request, operations.RESTRICT_PLACE, words, why)

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Let those propose an end whose role does."""
        return users.queries.may_propose(request.user, operations.END_RESTRICTION.name)

    @action(description="End it", url_path="end", permissions=["end"])  # type: ignore[untyped-decorator]
    def end(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose the day on which a restriction ends."""
        place = get_object_or_404(RestrictedPlace, pk=object_id)

        def do(words: dict[str, Any]) -> str:
            payload = {"place": place.pk, "until": words["until"]}
            return propose(request, operations.END_RESTRICTION, payload, words["reason"])

        return ask(
            request,
            self,
            form=EndForm(request.POST or None),
            title=EndForm.title,
            facts=[f"{place}, since {place.since}: {place.reason}"],
            back=reverse("admin:kyc_restrictedplace_change", args=[object_id]),
            do=do,
        )
