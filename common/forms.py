"""How every form reads a number that somebody types, and what its address says to a reader."""

from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect

from common import numbers
from common.money import EXACT
from common.numbers import NumberUnread


class NumberField(forms.CharField):
    """A number as people type it, in the format of their country: "25", "$1,000.50", "0,5".

    It shows one in the same format. More decimals than `decimals` are refused, and what is not
    between `least` and `most`; nothing is rounded.
    """

    default_error_messages = {
        "least": "Give a positive number like 12.50.",
        "most": "This is more than can be counted here.",
        "decimals": "Give at most {decimals} decimals.",
    }

    def __init__(
        self,
        *,
        decimals: int,
        least: Decimal | None = None,
        most: Decimal = Decimal(9999999999),
        **options: Any,
    ) -> None:
        """Take the bounds besides Django's own options.

        :param least: None for anything above zero
        """
        self.decimals, self.least, self.most = decimals, least, most
        super().__init__(max_length=60, **options)

    def clean(self, value: Any) -> Any:
        """Read it exactly; None if nothing was typed and nothing need be."""
        text = super().clean(value)
        if not text:
            return None
        try:
            number = numbers.read_number(text, numbers.active_format())
        except NumberUnread as error:
            raise forms.ValidationError(error.detail, code="invalid") from error
        if number < self.least if self.least is not None else number <= 0:
            self.refuse("least")
        if number > self.most:
            self.refuse("most")
        if number != number.quantize(Decimal(1).scaleb(-self.decimals), None, EXACT):
            self.refuse("decimals")
        return number

    def refuse(self, code: str) -> None:
        """Say what is wrong.

        :raises ValidationError: always
        """
        said = self.error_messages[code].format(decimals=self.decimals)
        raise forms.ValidationError(said, code=code)

    def prepare_value(self, value: Any) -> Any:
        """Write a number as it would be typed; what was typed stays as it is."""
        if isinstance(value, Decimal):
            return numbers.FORMATS[numbers.active_format()].write(value)
        return value


View = Callable[..., HttpResponse]


def posts_from(page: str, *kept: str) -> Callable[[View], View]:
    """Let a view take POST alone, and lead who reads its address to the page it belongs to.

    People reload, go back, and sign in again on the way: they get a page, never an empty 405.

    :param page: the name of the page's address
    :param kept: the view's arguments that the page takes too
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def door(request: HttpRequest, **given: Any) -> HttpResponse:
            if request.method == "POST":
                return view(request, **given)
            if request.method in {"GET", "HEAD"}:
                there: HttpResponse = redirect(page, **{name: given[name] for name in kept})
                return there
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])

        return door

    return decorate
