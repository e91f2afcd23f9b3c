"""What the REST door of trading reads and writes, field by field."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.money import EXACT, AmountInvalid, parse_decimal
from instruments import queries as instruments
from instruments.models import Instrument
from market.rules.sessions import end_of_day

SYMBOL = re.compile(r"[A-Za-z0-9.]{1,16}(/USD)?")
BIGGEST = Decimal("1e10")  # what the columns can keep
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?")


DECIMAL_STRING = {"type": "string", "format": "decimal", "example": "12.50"}


@extend_schema_field(DECIMAL_STRING)
class PositiveDecimal(serializers.Field[Decimal, Any, str, Any]):
    """A positive decimal, written as a string so that no float is ever between us.

    :param decimals: how many there may be
    """

    default_error_messages = {
        "NotAString": 'Write it as a string, like "12.50": a JSON number may lose digits.',
        "NotADecimal": 'Give a plain positive decimal, like "12.50".',
        "NotPositive": "Give more than zero.",
        "TooManyDigits": "Give fewer digits.",
        "TooManyDecimals": "Give at most {decimals} decimals.",
        "TooLarge": "That is more than can be traded here.",
    }

    def __init__(self, *, decimals: int, **options: Any) -> None:
        """Take the number of decimals besides DRF's own options."""
        self.decimals = decimals
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:
        """Read it exactly; whole JSON numbers pass, since they are exact too."""
        value = self.number(data)
        if value <= 0:
            self.fail("NotPositive")
        return value

    def number(self, data: Any) -> Decimal:
        """Read it, whatever its sign."""
        if isinstance(data, bool) or not isinstance(data, str | int):
            self.fail("NotAString")
        text = str(data)
        if not PLAIN.fullmatch(text.removeprefix("-")):
            self.fail("NotADecimal")
        try:
            value = parse_decimal(text)
        except AmountInvalid:
            self.fail("TooManyDigits")
        if abs(value) >= BIGGEST:
            self.fail("TooLarge")
        if value != value.quantize(Decimal(1).scaleb(-self.decimals), None, EXACT):
            self.fail("TooManyDecimals", decimals=self.decimals)
        return value

    def to_representation(self, value: Decimal) -> str:
        """Write it without an exponent."""
        return f"{value:f}"


@extend_schema_field(DECIMAL_STRING)
class SignedDecimal(PositiveDecimal):
    """A decimal of either sign, written as a string."""

    default_error_messages = {"NotADecimal": 'Give a plain decimal, like "-0.50".'}

    def to_internal_value(self, data: Any) -> Decimal:
        """Read it exactly."""
        return self.number(data)


class ExpiryField(serializers.DateTimeField):
    """When an order expires: a moment, or a day, which ends when it does in New York."""

    def to_internal_value(self, value: Any) -> datetime:
        """Read either."""
        if isinstance(value, str) and DAY.fullmatch(value):
            try:
                return end_of_day(date.fromisoformat(value))
            except (ValueError, OverflowError):
                self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


@extend_schema_field(OpenApiTypes.STR)
class TrailField(PositiveDecimal):
    """How far a trailing order follows: dollars, like "2.50", or a part of the price, like "1.5%".

    Read as a pair of which one is None: (dollars, percent).
    """

    default_error_messages = {"NotADecimal": 'Give dollars like "2.50" or percent like "1.5%".'}

    def to_internal_value(self, data: Any) -> Any:
        """Read it exactly."""
        if isinstance(data, str) and data.endswith("%"):
            return None, super().to_internal_value(data[:-1])
        return super().to_internal_value(data), None

    def to_representation(self, value: Any) -> str:
        """Write it as it is said."""
        return str(value)


@extend_schema_field(OpenApiTypes.STR)
class InstrumentField(serializers.Field[Instrument, Any, str, Any]):
    """A listed instrument by its symbol; each is looked up once a request."""

    default_error_messages = {
        "UnknownInstrument": "There is no instrument of this symbol;"
        " GET /api/v1/instruments lists them.",
    }

    def to_internal_value(self, data: Any) -> Instrument:
        """Find it."""
        if not isinstance(data, str) or not SYMBOL.fullmatch(data):
            self.fail("UnknownInstrument")
        known: dict[str, Instrument] = self.context["instruments"]
        if data not in known:
            try:
                known[data] = instruments.by_symbol(data)
            except Instrument.DoesNotExist:
                self.fail("UnknownInstrument")
        return known[data]

    def to_representation(self, value: Instrument) -> str:
        """Write the symbol."""
        return value.symbol


class IdField(serializers.UUIDField):
    """An id as it was given: a string; DRF would take a number, or false, for one too."""

    def to_internal_value(self, data: Any) -> UUID:
        """Read it."""
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.BOOL)
class Switch(serializers.Field[bool, Any, bool, Any]):
    """True or false, and nothing that merely looks like it."""

    default_error_messages = {"switch": "Give true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Take JSON's own two words only."""
        if not isinstance(data, bool):
            self.fail("switch")
        return data

    def to_representation(self, value: bool) -> bool:  # noqa: FBT001 - DRF's signature
        """Write it as it is."""
        return value
