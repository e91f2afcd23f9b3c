"""The books, for staff to read: nothing here can be added, changed or deleted."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from common.admin import ReadOnly, ReadOnlyTable, link
from common.money import Amount
from ledger.models import Account, Asset, Hold, HoldEntry, Journal, Transfer


class BooksAdmin(ReadOnlyTable):
    """A table of the books: newest first, one query a page, found by e-mail or id."""

    owner_path: str | None = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Read an e-mail address as its owner's rows, anything else as the fields say."""
        term = search_term.strip()
        if "@" in term and self.owner_path:
            return queryset.filter(**{f"{self.owner_path}__istartswith": term}).distinct(), False
        found: tuple[QuerySet[Model], bool] = super().get_search_results(request, queryset, term)
        return found


class TransferInline(ReadOnly, TabularInline):
    """The transfers of one journal."""

    model = Transfer
    extra = 0
    fields = ("asset", "from_account", "to_account", "exact_amount")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transfer]:
        """Fetch what each line shows."""
        accounts = ("debit__asset", "debit__owner", "credit__asset", "credit__owner")
        rows: QuerySet[Transfer] = super().get_queryset(request)
        return rows.select_related("asset", *accounts)

    @admin.display(description="from")
    def from_account(self, transfer: Transfer) -> SafeString | str:
        """Name and link the account debited."""
        return link(transfer.debit, account_name(transfer.debit))

    @admin.display(description="to")
    def to_account(self, transfer: Transfer) -> SafeString | str:
        """Name and link the account credited."""
        return link(transfer.credit, account_name(transfer.credit))

    @admin.display(description="amount")
    def exact_amount(self, transfer: Transfer) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(transfer.amount, transfer.asset))


class HoldEntryInline(ReadOnly, TabularInline):
    """What happened to one hold."""

    model = HoldEntry
    fk_name = "hold"
    extra = 0
    fields = ("recorded_at", "exact_delta", "captured_by")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[HoldEntry]:
        """Fetch what each line shows."""
        rows: QuerySet[HoldEntry] = super().get_queryset(request)
        return rows.select_related("account__asset", "journal")

    @admin.display(description="change")
    def exact_delta(self, entry: HoldEntry) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(entry.delta, entry.account.asset))

    @admin.display(description="captured by")
    def captured_by(self, entry: HoldEntry) -> SafeString | str:
        """Link the journal that took it, if one did."""
        return link(entry.journal) if entry.journal else "released" if entry.delta < 0 else "held"


def account_name(account: Account) -> str:
    """Say whose account it is, in what role and asset."""
    return f"{account.owner or 'house'} · {account.role} · {account.asset.code}"


@admin.register(Asset)
class AssetAdmin(BooksAdmin):
    """What can be counted."""

    list_display = ("code", "kind", "scale")
    list_filter = ("kind",)
    search_fields = ("code",)
    ordering = ("code",)


@admin.register(Account)
class AccountAdmin(BooksAdmin):
    """Who owns what, now."""

    list_display = ("owner", "role", "asset", "exact_posted", "exact_held", "exact_available")
    list_filter = ("role", "asset__kind")
    list_select_related = ("owner", "asset")
    search_fields = ("=id", "=asset__code", "owner__email__istartswith")
    search_help_text = "The owner's e-mail address, an asset's code, or an account's number"
    owner_path = "owner__email"
    fields = (
        ("owner", "role", "asset"),
        ("exact_posted", "exact_held", "exact_available"),
        "overdraft",
        "movements",
    )
    readonly_fields = ("exact_posted", "exact_held", "exact_available", "movements")

    @admin.display(description="posted", ordering="posted")
    def exact_posted(self, account: Account) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(account.posted, account.asset))

    @admin.display(description="held", ordering="held")
    def exact_held(self, account: Account) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(account.held, account.asset))

    @admin.display(description="available")
    def exact_available(self, account: Account) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(account.available, account.asset))

    @admin.display(description="see also")
    def movements(self, account: Account) -> SafeString:
        """Link the account's journals and holds."""
        return format_html(
            '<a href="{}?account={}">Journals</a> · <a href="{}?account__id__exact={}">Holds</a>',
            reverse("admin:ledger_journal_changelist"),
            account.pk,
            reverse("admin:ledger_hold_changelist"),
            account.pk,
        )


class AccountFilter(admin.SimpleListFilter):
    """Narrow journals to one account; reached by a link, never listed."""

    title = "account"
    parameter_name = "account"

    def has_output(self) -> bool:
        """Take part even though there is nothing to choose from."""
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer only the account asked for."""
        asked = request.GET.get("account", "")
        return [(asked, f"number {asked}")] if asked.isdigit() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Journal]) -> QuerySet[Journal]:
        """Give the journals that touched it."""
        asked = self.value() or ""
        if not asked.isdigit():
            return queryset
        touched = Transfer.objects.filter(Q(debit_id=asked) | Q(credit_id=asked))
        return queryset.filter(id__in=touched.values("journal_id"))


@admin.register(Journal)
class JournalAdmin(BooksAdmin):
    """What happened to the books, event by event."""

    list_display = ("key", "kind", "actor", "occurred_at")
    list_filter = ("kind", AccountFilter)
    list_select_related = ("actor",)
    search_fields = ("=key", "=uid")
    search_help_text = "A customer's e-mail address, a journal's id, or its key"
    fields = ("uid", "key", "kind", "actor", "occurred_at", "recorded_at", "reverses", "undone_by")
    readonly_fields = fields
    inlines = (TransferInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find the journals that touched a customer's accounts by e-mail, or one by id or key."""
        term = search_term.strip()
        if "@" not in term:
            return super().get_search_results(request, queryset, term)
        theirs = Account.objects.filter(owner__email__istartswith=term).values("id")
        touched = Transfer.objects.filter(Q(debit_id__in=theirs) | Q(credit_id__in=theirs))
        return queryset.filter(id__in=touched.values("journal_id")), False

    @admin.display(description="reversed by")
    def undone_by(self, journal: Journal) -> SafeString | str:
        """Link the journal that reversed this one, if one did."""
        return link(Journal.objects.filter(reverses=journal).first())


@admin.register(Hold)
class HoldAdmin(BooksAdmin):
    """What is set aside, for what, and what became of it."""

    list_display = ("id", "purpose", "whose", "exact_remaining")
    list_select_related = ("account__owner", "account__asset")
    search_fields = ("=id", "=purpose", "purpose__endswith")
    search_help_text = "A customer's e-mail address, a hold's number, or its purpose"
    owner_path = "account__owner__email"
    fields = ("purpose", "whose", "exact_remaining")
    readonly_fields = fields
    inlines = (HoldEntryInline,)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Let an account's page link to its holds."""
        return lookup == "account__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="account")
    def whose(self, hold: Hold) -> SafeString | str:
        """Name and link the account it lies on."""
        return link(hold.account, account_name(hold.account))

    @admin.display(description="remaining", ordering="remaining")
    def exact_remaining(self, hold: Hold) -> str:
        """Show wholes with every decimal of the asset."""
        return str(Amount(hold.remaining, hold.account.asset))
