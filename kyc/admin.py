"""The queue of applications, their decision, and the policy, for staff."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from common import clock
from common.admin import ReadOnly
from common.errors import DomainError
from kyc import operations, queries
from kyc.forms import ApproveForm, RejectForm, ReopenForm
from kyc.models import AgreementAcceptance, Application, CheckResult, RestrictedPlace
from users.models import User


class CheckResultInline(ReadOnly, TabularInline):
    """What the checks found."""

    model = CheckResult
    extra = 0
    fields = ("name", "outcome", "evidence", "checked_at")
    readonly_fields = fields


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
    search_help_text = "An e-mail address, the id, or the whole of the last names"
    ordering = ("-submitted_at",)
    actions = None
    actions_detail = ("approve", "reject", "reopen")
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
        """Find people by their last names too, which are encrypted: only all of them match."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            found |= queryset.filter(pk__in=queries.named(search_term))
        return found, may_repeat

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Offer only what the case's state allows."""
        status = Application.objects.filter(pk=object_id).values_list("status", flat=True).first()
        if status in queries.QUEUE:
            offered = {"approve", "reject"}
        else:
            offered = {"reopen"} if status == Application.Status.REJECTED else set()
        return [
            one for one in super().get_actions_detail(request, object_id) if one.path in offered
        ]

    def has_review_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may decide on applications."""
        return request.user.has_perm("kyc.review_application")

    @action(description="Approve", url_path="approve", permissions=["review"])  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Open the account."""
        return self._decide(request, object_id, ApproveForm, operations.approve)

    @action(description="Reject", url_path="reject", permissions=["review"])  # type: ignore[untyped-decorator]
    def reject(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Refuse to open the account."""
        return self._decide(request, object_id, RejectForm, operations.reject)

    @action(description="Let them correct it", url_path="reopen", permissions=["review"])  # type: ignore[untyped-decorator]
    def reopen(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Give a rejected application back."""
        return self._decide(request, object_id, ReopenForm, operations.reopen)

    def _decide(self, request: HttpRequest, object_id: int, kind: Any, verb: Any) -> HttpResponse:
        """Ask for the words of a decision, and carry it out on the version that was shown."""
        application = get_object_or_404(Application, pk=object_id)
        back = redirect(reverse("admin:kyc_application_change", args=[object_id]))
        form = kind(request.POST or None, initial={"version": application.version})
        if form.is_valid():
            try:
                verb(
                    application=application,
                    actor=request.user,
                    now=clock.now(),
                    **form.cleaned_data,
                )
            except DomainError as error:
                messages.error(request, error.detail)
            else:
                messages.success(request, form.done)
            return back
        page = {
            **self.admin_site.each_context(request),
            "form": form,
            "application": application,
            "opts": self.model._meta,  # noqa: SLF001 - what the admin's templates ask for
            "title": form.title,
        }
        return render(request, "kyc/application_decide.html", page)


@admin.register(RestrictedPlace)
class RestrictedPlaceAdmin(ModelAdmin):
    """The policy: dated rows. One that ends gets a date; none is deleted."""

    list_display = ("country", "ground", "reason", "since", "until")
    list_filter = ("ground",)
    search_fields = ("country", "reason")
    ordering = ("country", "ground")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes policy: it says what was in force when somebody was refused."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Keep the row, and who made it so."""
        assert isinstance(request.user, User)
        operations.save_policy(place=obj, actor=request.user, now=clock.now())
