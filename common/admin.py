"""What the admin's tables share: they are read, newest first, with links between rows."""

from typing import Any
from uuid import UUID

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin


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


class ReadOnlyTable(ReadOnly, ModelAdmin):
    """A large table: newest first, a page at a time, never counted whole."""

    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = None


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
