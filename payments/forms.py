"""What a customer types about money coming in, and what staff propose about money."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

import ledger.queries
from common.errors import DomainError
from common.forms import NumberField
from common.money import USD, Amount, parse_decimal
from payments.models import TreasuryMovement
from users.models import User


class DepositForm(forms.Form):
    """How many dollars."""

    amount = NumberField(
        label="How much do you want to add?",
        decimals=2,
        least=Decimal(1),
        most=Decimal(1_000_000),
        error_messages={
            "required": "Type an amount.",
            "least": "The smallest deposit is $1.",
            "most": "The largest deposit is $1,000,000.",
            "decimals": "A bank moves dollars and cents; drop the rest.",
        },
    )

    def clean_amount(self) -> Amount:
        """Count the dollars."""
        return Amount.parse(self.cleaned_data["amount"], USD)


class WhyForm(forms.Form):
    """Why something is proposed."""

    title: ClassVar[str] = "Propose"
    why = forms.CharField(
        help_text="For who decides, and for the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


class TreasuryForm(WhyForm):
    """So much for one of the house's purses, or out of it."""

    title: ClassVar[str] = "Propose a movement of the house's money or tokens"
    kind = forms.ChoiceField(
        label="What",
        choices=[
            ("capital", "Dollars from the bank to the house"),
            ("capital_out", "Dollars from the house to the bank"),
            ("issue", "Tokens from the issuer to the house"),
            ("redeem", "Tokens from the house to the issuer"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    purse = forms.ChoiceField(
        choices=TreasuryMovement.Purse.choices,
        help_text="Liquidity quotes on the books; the dealer trades with cards.",
        widget=UnfoldAdminSelectWidget,
    )
    asset = forms.CharField(
        max_length=16, help_text="USD, or a token: AAPLx.", widget=UnfoldAdminTextInputWidget
    )
    amount = forms.CharField(
        max_length=40,
        help_text="Dollars, or tokens before the multiplier.",
        widget=UnfoldAdminTextInputWidget,
    )
    reference = forms.CharField(
        max_length=64,
        help_text="The bank's or the issuer's own id of it; it is used once.",
        widget=UnfoldAdminTextInputWidget,
    )
    field_order = ("kind", "purse", "asset", "amount", "reference", "why")

    def clean(self) -> dict[str, Any]:
        """Count the amount."""
        given = self.cleaned_data
        if {"asset", "amount"} <= given.keys():
            try:
                asset = ledger.queries.asset(given["asset"].strip())
                given["amount"] = counted(given["amount"], asset)
            except ObjectDoesNotExist:
                self.add_error("asset", "Nothing of this name can be counted here.")
            except forms.ValidationError as error:
                self.add_error("amount", error)
        return given


class AdjustmentForm(WhyForm):
    """Dollars for a customer, or from them."""

    title: ClassVar[str] = "Propose to give a customer dollars, or to take them"
    email = forms.EmailField(label="The customer's address", widget=UnfoldAdminTextInputWidget)
    amount = forms.CharField(
        max_length=40,
        help_text="Dollars given; with a minus, taken.",
        widget=UnfoldAdminTextInputWidget,
    )
    message = forms.CharField(
        max_length=200,
        help_text="The customer reads this.",
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
    )
    field_order = ("email", "amount", "message", "why")

    def clean_email(self) -> User:
        """Find the customer."""
        return customer_by(self.cleaned_data["email"])

    def clean_amount(self) -> Amount:
        """Count the dollars."""
        return counted(self.cleaned_data["amount"], USD)


class AssignForm(WhyForm):
    """Whose money it is."""

    title: ClassVar[str] = "Propose to post this money"
    email = forms.EmailField(label="The customer's address", widget=UnfoldAdminTextInputWidget)
    field_order = ("email", "why")

    def clean_email(self) -> User:
        """Find the customer."""
        return customer_by(self.cleaned_data["email"])


def customer_by(email: str) -> User:
    """Find a person by their address.

    :raises ValidationError: if nobody has it
    """
    found = User.objects.filter(email=email.strip().lower()).first()
    if found is None:
        raise forms.ValidationError("Nobody has this address.")
    return found


def counted(text: str, asset: Any) -> Amount:
    """Count what was typed.

    :raises ValidationError: if it can't be
    """
    try:
        return Amount.parse(parse_decimal(text), asset)
    except DomainError as error:
        raise forms.ValidationError(error.detail) from error
