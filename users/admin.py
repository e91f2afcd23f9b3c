"""People, the audit trail and notices, for staff."""

from importlib import import_module
from typing import Any
from urllib.parse import quote

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action

from common import clock
from common.admin import ProposedRows, ReadOnly, ask, facts
from common.errors import DomainError
from users import operations, queries
from users.forms import DeactivateForm, DeclineForm, NoteForm, StaffForm, WithdrawForm
from users.models import AuditEntry, CallLimit, Mail, Notice, Proposal, SecurityEvent, User

# What staff look for from a customer's page: words, and the list in the admin that knows it.
ABOUT = (
    ("Application", "kyc_application"),
    ("Accounts", "ledger_account"),
    ("Journals", "ledger_journal"),
    ("Holds", "ledger_hold"),
    ("Deposits", "payments_depositinstruction"),
    ("Orders", "trading_order"),
    ("Trades", "trading_trade"),
    ("Cards", "spending_card"),
    ("Audit trail", "users_auditentry"),
    ("Notices", "users_notice"),
    ("Security", "users_securityevent"),
    ("Mail", "users_mail"),
)


@admin.register(User)
class UserAdmin(ReadOnly, ModelAdmin):
    """Customers and staff, found by e-mail; from here to everything about one.

    Nobody changes another person here: what somebody may do is proposed, and a second person
    decides; passwords and e-mail addresses are their owner's.
    """

    ordering = ("-id",)
    list_display = ("email", "is_active", "is_staff", "simulated", "date_joined", "last_login")
    list_filter = ("is_staff", "is_active", "simulated", "groups")
    search_fields = ("email", "uid")
    search_help_text = "An e-mail address, the id, or words of the name"
    readonly_fields = ("uid", "simulated", "about", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "uid", "simulated", "about")}),
        ("Staff", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("date_joined", "last_login")}),
    )
    actions = None
    actions_detail = ("deactivate", "change_staff")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Find people by their names too."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            found |= queryset.filter(pk__in=queries.found_by(search_term))
        return found, may_repeat

    @admin.display(description="see also")
    def about(self, user: User) -> SafeString:
        """Link every list that knows this person."""
        return format_html_join(" · ", '<a href="{}">{}</a>', links_about(user))

    def has_deactivate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may shut others out."""
        return request.user.has_perm("users.deactivate_user")

    @action(description="Shut out now", url_path="deactivate", permissions=["deactivate"])  # type: ignore[untyped-decorator]
    def deactivate(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Shut somebody out of every door at once; to let them in again is proposed."""
        user = get_object_or_404(User, pk=object_id)

        def do(words: dict[str, Any]) -> str:
            operations.deactivate(user=user, actor=as_user(request), now=clock.now(), **words)
            return "They are shut out, and their sessions have ended."

        return ask(
            request,
            self,
            form=DeactivateForm(request.POST or None),
            title=DeactivateForm.title,
            facts=[user.email],
            back=reverse("admin:users_user_change", args=[object_id]),
            do=do,
        )

    def has_staff_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Say whether somebody may propose what others may do."""
        return queries.may_propose(as_user(request), operations.CHANGE_STAFF.name)

    @action(description="Change what they may do", url_path="staff", permissions=["staff"])  # type: ignore[untyped-decorator]
    def change_staff(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose what somebody may do."""
        user = get_object_or_404(User, pk=object_id)
        standing = {
            "is_active": user.is_active,
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
            "roles": list(user.groups.values_list("name", flat=True)),
        }

        def do(words: dict[str, Any]) -> str:
            operations.propose(
                kind=operations.CHANGE_STAFF.name,
                reason=words.pop("reason"),
                payload=operations.staff_payload(user=user, **words),
                actor=as_user(request),
                now=clock.now(),
            )
            return "Proposed: another person decides."

        return ask(
            request,
            self,
            form=StaffForm(request.POST or None, initial=standing),
            title=StaffForm.title,
            facts=[user.email],
            back=reverse("admin:users_user_change", args=[object_id]),
            do=do,
        )


def links_about(user: User) -> list[tuple[str, str]]:
    """Give (address, words) of the admin's lists, narrowed to one person."""
    links = []
    for words, name in ABOUT:
        try:
            address = reverse(f"admin:{name}_changelist")
        except NoReverseMatch:
            continue
        links.append((f"{address}?q={quote(user.email)}", words))
    return links


def as_user(request: HttpRequest) -> User:
    """Give who is signed in."""
    assert isinstance(request.user, User)
    return request.user


# Roles are made from `users.rules`. What proves who somebody is belongs to them: a member of the
# staff who could add an address or take a second factor away could sign in as anybody.
for owned in (Group, EmailAddress, Authenticator, UserSession):
    import_module(f"{owned.__module__.removesuffix('.models')}.admin")  # registers it
    admin.site.unregister(owned)


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnly, ModelAdmin):
    """The addresses that customers proved."""

    ordering = ("-id",)
    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    list_select_related = ("user",)
    search_fields = ("email", "user__email")
    actions = None
    show_full_result_count = False


@admin.register(Mail)
class MailAdmin(ReadOnly, ModelAdmin):
    """The queue of mail. Nobody reads one here: it may carry a code."""

    ordering = ("-id",)
    list_display = ("created_at", "recipients", "about", "status", "attempts", "last_error")
    list_filter = ("status",)
    search_fields = ("recipients", "=uid")
    search_help_text = "An e-mail address"
    exclude = ("content",)
    actions = ("send_again",)
    show_full_result_count = False

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Say whether somebody may send a mail again."""
        return as_user(request).has_perm("users.resend_mail")

    @admin.action(description="Send again", permissions=["resend"])
    def send_again(self, request: HttpRequest, mails: QuerySet[Mail]) -> None:
        """Queue what failed once more."""
        for mail in mails:
            try:
                operations.send_again(mail=mail, actor=as_user(request), now=clock.now())
                self.message_user(request, f"{mail} is queued.")
            except DomainError as error:
                self.message_user(request, f"{mail}: {error}", messages.ERROR)


def changes_in(proposal: Proposal) -> list[str]:
    """Say in lines what is and what would be, as the proposer saw it."""
    return [
        f"{what}: {after}" if before == "-" else f"{what}: {before} → {after}"
        for what, before, after in proposal.changes
    ]


class WaitingFilter(admin.SimpleListFilter):
    """Show the proposals that wait for who looks."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the queues, beside everything."""
        return [("me", "Waits for me"), ("mine", "Proposed by me")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> QuerySet[Proposal]:
        """Narrow to one of the queues."""
        if self.value() == "me":
            return queryset & queries.proposals_waiting_for(as_user(request))
        if self.value() == "mine":
            return queryset.filter(proposer=as_user(request))
        return queryset


@admin.register(Proposal)
class ProposalAdmin(ReadOnly, ModelAdmin):
    """What one person proposed and another decides on; each kind is seen by its own roles."""

    ordering = ("-id",)
    list_display = ("what", "target", "proposer", "proposed_at", "status", "decided_by")
    list_display_links = ("what",)
    list_filter = (WaitingFilter, "status")
    list_select_related = ("proposer", "decided_by")
    search_fields = ("=uid", "target", "kind", "proposer__email", "subject__email")
    search_help_text = "What it is about, an e-mail address, or the id"
    list_per_page = 50
    show_full_result_count = False
    actions = None
    actions_detail = ("approve", "decline", "withdraw")
    fieldsets = (
        (None, {"fields": ("what", "target", "subject", "status", "what_changes", "reason")}),
        ("Proposed", {"fields": ("proposer", "proposed_at", "expires_at")}),
        ("Decided", {"fields": ("decided_by", "decided_at", "note", "result", "uid")}),
    )
    readonly_fields = ("what", "what_changes", "uid")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        """Give the kinds that somebody's roles propose or approve."""
        return queries.proposals_seen_by(as_user(request))

    @admin.display(description="proposal")
    def what(self, proposal: Proposal) -> str:
        """Say what would be done."""
        return operations.kind_of(proposal.kind).title

    @admin.display(description="changes")
    def what_changes(self, proposal: Proposal) -> SafeString:
        """Say what is and what would be, as the proposer saw it."""
        return format_html_join("", "<div>{}</div>", ([line] for line in changes_in(proposal)))

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Offer only what this person may do with a proposal of this state."""
        found = queries.proposals_seen_by(as_user(request)).filter(pk=object_id).first()
        offered = queries.decisions_open_to(as_user(request), found) if found else ()
        return [
            one for one in super().get_actions_detail(request, object_id) if one.path in offered
        ]

    @action(description="Approve", url_path="approve")  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let it be done."""
        return self._decide(request, object_id, NoteForm, operations.approve, "Approved, and done.")

    @action(description="Decline", url_path="decline")  # type: ignore[untyped-decorator]
    def decline(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Refuse it."""
        return self._decide(request, object_id, DeclineForm, operations.decline, "Declined.")

    @action(description="Withdraw", url_path="withdraw")  # type: ignore[untyped-decorator]
    def withdraw(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Take it back."""
        return self._decide(request, object_id, WithdrawForm, operations.withdraw, "Withdrawn.")

    def _decide(
        self, request: HttpRequest, object_id: int, kind: Any, verb: Any, done: str
    ) -> HttpResponse:
        """Show what would change, ask for words, and carry the decision out."""
        actor = as_user(request)
        proposal = get_object_or_404(queries.proposals_seen_by(actor), pk=object_id)

        def do(words: dict[str, Any]) -> str:
            verb(proposal=proposal, actor=actor, now=clock.now(), **words)
            return done

        return ask(
            request,
            self,
            form=kind(request.POST if request.method == "POST" else None),
            title=kind.title,
            facts=[
                f"{self.what(proposal)}: {proposal.target}",
                *changes_in(proposal),
                f"Proposed by {proposal.proposer}, because: {proposal.reason}",
            ],
            back=reverse("admin:users_proposal_change", args=[object_id]),
            do=do,
        )


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    """Who did what to whom, newest first."""

    ordering = ("-id",)
    list_display = ("at", "action", "actor", "subject", "reason")
    list_filter = ("action",)
    list_select_related = ("actor", "subject")
    search_fields = ("subject__email", "actor__email", "action")
    search_help_text = "The e-mail address of who did it or whom it was about, or the action"
    show_full_result_count = False
    exclude = ("detail",)
    readonly_fields = ("more",)

    @admin.display(description="detail")
    def more(self, entry: AuditEntry) -> SafeString:
        """Show what else was written down."""
        return facts(entry.detail)


@admin.register(CallLimit)
class CallLimitAdmin(ProposedRows):
    """How often who may ask; the next is proposed, and none is changed."""

    ordering = ("kind", "scope", "-since")
    list_display = ("kind", "scope", "since", "capacity", "per_second")
    list_filter = ("kind", "scope")
    add_title = "Propose a limit"

    def may_propose(self, request: HttpRequest) -> bool:
        """Let those propose a row whose role does."""
        return queries.may_propose(request.user, operations.SET_CALL_LIMIT.name)

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose a row."""
        operations.propose(
            kind=operations.SET_CALL_LIMIT.name,
            reason=words.pop("why"),
            payload=words,
            actor=as_user(request),
            now=clock.now(),
        )
        return "Proposed: another person decides."


@admin.register(Notice)
class NoticeAdmin(ReadOnly, ModelAdmin):
    """What customers were told."""

    ordering = ("-id",)
    list_display = ("created_at", "user", "title", "kind", "read_at")
    fields = ("user", "created_at", "title", "body", "kind", "url", "read_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "kind")
    show_full_result_count = False


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnly, ModelAdmin):
    """What was done to how accounts are entered; what undoing needs is not shown."""

    ordering = ("-id",)
    list_display = ("at", "user", "kind", "ip", "undone_at")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    show_full_result_count = False
    exclude = ("before",)
