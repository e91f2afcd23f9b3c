"""People, the audit trail and notices, for staff."""

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from common.admin import ReadOnly
from users.models import AuditEntry, Notice, User

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
)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Customers and staff, found by e-mail; from here to everything about one."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("-id",)
    list_display = ("email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_staff", "is_active", "groups")
    search_fields = ("email", "uid")
    search_help_text = "An e-mail address, or the id"
    readonly_fields = ("uid", "about", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "password", "uid", "about")}),
        ("Staff", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)

    @admin.display(description="see also")
    def about(self, user: User) -> SafeString:
        """Link every list that knows this person."""
        return format_html_join(" · ", '<a href="{}">{}</a>', links_about(user))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody is deleted: the books and the trail point at them."""
        return False


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


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """The groups of the staff; their permissions are made after each migration."""


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


@admin.register(Notice)
class NoticeAdmin(ReadOnly, ModelAdmin):
    """What customers were told."""

    ordering = ("-id",)
    list_display = ("created_at", "user", "title", "kind", "read_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "title")
    show_full_result_count = False
