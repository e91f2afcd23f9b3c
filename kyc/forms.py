"""What an applicant types, one group of questions a screen."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django_countries.fields import CountryField
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextareaWidget

from kyc import rules
from kyc.models import Application

YES_NO = [("yes", "Yes, I am"), ("no", "No, I am not")]

Country = CountryField(blank_label="Choose a country").formfield


MISSING = {"required": "We need this to go on."}


class StepForm(forms.Form):
    """One screen: a heading, why we ask, and the questions."""

    heading: ClassVar[str]
    why: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say in plain words what is missing."""
        super().__init__(*args, **kwargs)
        for asked in self.fields.values():
            asked.error_messages |= MISSING


class NameForm(StepForm):
    """Who are you?"""

    heading = "Who are you?"
    why = "The law asks us to know who our customers are. Write your name as your passport does."

    first_names = forms.CharField(
        max_length=120, widget=forms.TextInput({"autocomplete": "given-name"})
    )
    last_names = forms.CharField(
        max_length=120,
        required=False,
        help_text="Leave it empty if you have one name only.",
        widget=forms.TextInput({"autocomplete": "family-name"}),
    )
    birth_date = forms.DateField(
        label="Date of birth",
        widget=forms.DateInput({"type": "date", "autocomplete": "bday"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Type a date like 1991-04-12."},
    )


class AddressForm(StepForm):
    """Where do you live?"""

    heading = "Where do you live?"
    why = "Where you live decides what we may offer you. We need a street, not a post-office box."

    residence = Country(label="Country")
    street = forms.CharField(
        label="Street and number",
        max_length=200,
        widget=forms.TextInput({"autocomplete": "street-address"}),
    )
    postal_code = forms.CharField(
        max_length=20,
        required=False,
        widget=forms.TextInput({"autocomplete": "postal-code"}),
    )
    city = forms.CharField(
        max_length=100, widget=forms.TextInput({"autocomplete": "address-level2"})
    )

    def clean(self) -> dict[str, Any]:
        """Ask for a postal code where there are any."""
        given = super().clean() or {}
        country = str(given.get("residence") or "")
        if country and not given.get("postal_code") and rules.has_postal_codes(country):
            self.add_error("postal_code", MISSING["required"])
        return given


class TiesForm(StepForm):
    """Citizenship and ties to the United States."""

    heading = "Citizenship and ties"
    why = "Tokenized shares may not be offered to US persons, wherever they live."

    citizenship = Country(label="Citizenship")
    tax_residence = Country(label="Where you pay tax")
    us_person = forms.TypedChoiceField(
        label="Are you a US person?",
        choices=YES_NO,
        coerce=lambda answer: answer == "yes",
        widget=forms.RadioSelect,
        help_text=(
            "A citizen of the United States, a holder of a green card, or somebody who pays tax "
            "there as a resident."
        ),
    )

    def __init__(self, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        """Show a stored yes or no as the words that mean it."""
        shown = dict(initial or {})
        stored = shown.pop("us_person", None)
        if isinstance(stored, bool):
            shown["us_person"] = "yes" if stored else "no"
        super().__init__(data, initial=shown)


class TaxForm(StepForm):
    """The tax number."""

    heading = "Your tax number"
    why = "We report to the tax office of the country where you pay tax, and nobody else."

    tax_id = forms.CharField(
        label="Tax identification number",
        max_length=40,
        help_text="It stands on your tax return. We show it to nobody in full.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )


class SubmitForm(forms.Form):
    """The agreements, each accepted by itself."""

    heading = "Review and submit"
    why = "Look through your answers. You can't change them while we check."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ask for the present version of each agreement."""
        super().__init__(*args, **kwargs)
        for one in rules.AGREEMENTS:
            self.fields[one.document] = forms.BooleanField(
                label=f"I have read and accept: {one.title} ({one.version})",
                error_messages={"required": "Accept this to go on."},
            )

    @property
    def accepted(self) -> list[tuple[str, str]]:
        """Give (document, version) of what was ticked."""
        return [
            (one.document, one.version)
            for one in rules.AGREEMENTS
            if self.cleaned_data.get(one.document)
        ]


class DecisionForm(forms.Form):
    """What staff write when they decide; the version is the one they saw."""

    version = forms.IntegerField(widget=forms.HiddenInput)


class ApproveForm(DecisionForm):
    """Words for an approval."""

    title = "Propose to approve this application"

    message = forms.CharField(
        label="Message to the customer",
        required=False,
        help_text="They read this beside the result. Empty says that the account is open.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )
    reason = forms.CharField(
        help_text="Only staff read this: who decides, and the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


class RejectForm(ApproveForm):
    """Words for a rejection."""

    title = "Propose to reject this application"

    message = forms.CharField(
        label="Message to the customer",
        help_text="They read this. Say why, and what they can do.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


class ReopenForm(DecisionForm):
    """Words for giving a rejected application back."""

    title = "Propose to let the customer correct and submit again"

    reason = forms.CharField(
        help_text="Only staff read this: who decides, and the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


class RestrictForm(RejectForm):
    """Words for limiting an account, at once."""

    title = "Restrict this account"


class FreezeForm(RejectForm):
    """Words for stopping an account, at once."""

    title = "Freeze this account"


class LiftForm(RejectForm):
    """Words for opening an account again."""

    title = "Propose to open this account again"


class EndForm(forms.Form):
    """When a restriction ends."""

    title = "Propose the day on which it ends"

    until = forms.DateField(
        help_text="The first day on which it no longer holds.", widget=UnfoldAdminSingleDateWidget
    )
    reason = forms.CharField(
        help_text="For who decides, and for the audit trail.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


STEPS: dict[str, type[forms.Form]] = {
    "name": NameForm,
    "address": AddressForm,
    "us-person": TiesForm,
    "tax": TaxForm,
    "submit": SubmitForm,
}
NAMES = ["You", "Address", "Ties", "Tax", "Submit"]


def answers_in(form: forms.Form) -> dict[str, Any]:
    """Give what is valid so far, which is worth keeping even where the rest is not."""
    empty = {"last_names", "postal_code"}  # these may be taken back
    return {
        name: value
        for name, value in form.cleaned_data.items()
        if value not in (None, "") or (name in empty and value == "")
    }


def first_open_step(missing: Iterable[str]) -> str:
    """Name the screen of the first missing answer; with none missing it is the last."""
    lacking = set(missing)
    for step, form in STEPS.items():
        if lacking & set(form.base_fields):
            return step
    return "submit"


def stored_answers(application: Application | None, form: type[forms.Form]) -> dict[str, Any]:
    """Give what an applicant has answered before on a screen."""
    if application is None:
        return {}
    return {name: getattr(application, name) for name in form.base_fields}
