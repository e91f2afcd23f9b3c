"""How every form reads a decimal that somebody types."""

from decimal import Decimal
from typing import Any

from django import forms

from common.money import AmountInvalid, parse_decimal


class PlainDecimalField(forms.DecimalField):
    """Django's field, refusing what only a program takes for a number: `1e3`, `1_000`, `NaN`."""

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        """Read it as every other door does."""
        if isinstance(value, str) and (text := value.strip()):
            try:
                parse_decimal(text)
            except AmountInvalid as error:
                raise forms.ValidationError(
                    self.error_messages["invalid"], code="invalid"
                ) from error
        return super().to_python(value)
