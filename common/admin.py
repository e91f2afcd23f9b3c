"""What the admin's tables share: they are read, newest first, with links between rows."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from common.errors import DomainError


class ReadOnly:
    """Refuse every change by hand: operations write, and record who and why."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody takes one away."""
        return False

    list_filter: Any = ()
    hide_title = True  # of an inline's rows: their columns say it

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Narrow a list by what it offers only, where Django takes every column of the table.

        Who may ask whether a column begins with something reads it letter by letter: a password's
        hash, a card's token.
        """
        offered = any(
            lookup == name or lookup.startswith(f"{name}__")
            for name in map(_parameter, self.list_filter)
        )
        return offered and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]


def facts(value: Any) -> SafeString:
    """Show what a column keeps as JSON: a line for each named fact that is given."""
    lines = [(name.replace("_", " "), said) for name, said in _named("", value)]
    return format_html_join(mark_safe("<br>"), "{}: {}", lines) or mark_safe("-")


def _named(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give each fact with the names that lead to it; a list without names is one fact."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _named(f"{name} {key}".strip(), inner)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, inner in enumerate(value, 1):
            yield from _named(f"{name} {number}".strip(), inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or "none"
    elif isinstance(value, bool):
        yield name, "yes" if value else "no"
    elif value not in (None, ""):
        yield name, str(value)


def _parameter(offered: Any) -> str:
    """Give the name by which the address of a list says one of its filters."""
    if isinstance(offered, str):
        return offered
    return str(offered[0] if isinstance(offered, tuple) else offered.parameter_name)


class ReadOnlyTable(ReadOnly, ModelAdmin):
    """A large table: newest first, a page at a time, never counted whole."""

    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = None


class ProposedRows(ReadOnly, ModelAdmin):
    """Rows that staff propose and another person decides on; none is changed or deleted.

    Who may propose one, and what is proposed, the app says that two people decide in.
    """

    actions: Any = None
    add_title = "Propose a policy"

    def may_propose(self, request: HttpRequest) -> bool:
        """Say whether somebody's role proposes these rows."""
        raise NotImplementedError

    def propose(self, request: HttpRequest, words: dict[str, Any]) -> str:
        """Propose a row by the form's cleaned data, its `why` among them, and say so."""
        raise NotImplementedError

    def form_of(self, request: HttpRequest) -> forms.BaseForm:
        """Give the form of a proposal: the row's own, with a `why`."""
        return row_form(request, self)(request.POST or None)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those propose a row whose role does."""
        return self.may_propose(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Propose a row."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return ask(
            request,
            self,
            form=self.form_of(request),
            title=self.add_title,
            back=reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            do=lambda words: self.propose(request, words),
        )


def as_uuid(text: str) -> UUID | None:
    """Read an id as the API writes it; None if it is something else."""
    try:
        return UUID(text)
    except ValueError:
        return None


def link(obj: Model | None, words: str = "") -> SafeString | str:
    """Link to a row's own page in the admin."""
    if obj is None:
        return "-"
    meta = obj._meta  # noqa: SLF001 - Django's documented way to a model's names
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html('<a href="{}">{}</a>', url, words or obj)


def ask(
    request: HttpRequest,
    door: Any,
    *,
    form: forms.BaseForm,
    title: str,
    back: str,
    do: Callable[[dict[str, Any]], str],
    facts: Iterable[str] = (),
) -> HttpResponse:
    """Ask staff for the words of an act, and do it once they are complete.

    :param door: the ModelAdmin whose page this is
    :param back: the address of the page it began on; done or refused, it ends there
    :param do: does it with the form's cleaned data and says what was done; a DomainError is shown,
        beside its field where the form has it
    :param facts: sentences about the row, above the form
    """
    if form.is_valid():
        try:
            messages.success(request, do(form.cleaned_data))
        except DomainError as error:
            if error.field not in form.fields:
                messages.error(request, error.detail)
                return redirect(back)
            form.add_error(error.field, error.detail)
        else:
            return redirect(back)
    page = {
        **door.admin_site.each_context(request),
        "form": form,
        "facts": list(facts),
        "back": back,
        "opts": door.model._meta,  # noqa: SLF001 - what the admin's templates ask for
        "title": title,
    }
    return render(request, "krakapp/staff_ask.html", page)


def row_form(request: HttpRequest, door: Any) -> type[forms.BaseForm]:
    """Make the form of a new row, with a `why`, for staff who only propose the row."""
    row: type[forms.BaseForm] = door.get_form(request, None, change=False)
    why = forms.CharField(
        help_text="For who decides, and for the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )
    return type(row.__name__, (row,), {"why": why})
