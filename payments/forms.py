"""What a customer types about money coming in."""

from decimal import Decimal

from django import forms

from common.forms import PlainDecimalField
from common.money import USD, Amount


class DepositForm(forms.Form):
    """How many dollars."""

    amount = PlainDecimalField(
        label="How much do you want to add?",
        min_value=Decimal(1),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        error_messages={
            "required": "Type an amount.",
            "invalid": "Type an amount like 250 or 250.50.",
            "min_value": "The smallest deposit is $1.",
            "max_value": "The largest deposit is $1,000,000.",
            "max_decimal_places": "A bank moves dollars and cents; drop the rest.",
        },
        widget=forms.TextInput,
    )

    def clean_amount(self) -> Amount:
        """Count the dollars."""
        return Amount.parse(self.cleaned_data["amount"], USD)
