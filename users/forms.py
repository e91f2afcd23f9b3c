"""What staff say when they propose, decide, or change what a colleague may do."""

from typing import ClassVar
from zoneinfo import available_timezones

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from users import rules
from users.models import NUMBER_FORMATS

FEW_LINES = {"rows": 3}


class FormatsForm(forms.Form):
    """How numbers are written, and by which clock times are told."""

    number_format = forms.ChoiceField(label="Numbers", choices=NUMBER_FORMATS)
    time_zone = forms.ChoiceField(
        label="Your clock",
        choices=[(name, name.replace("_", " ")) for name in sorted(available_timezones())],
        help_text="Times on pages and in e-mails go by it; receipts say UTC too.",
    )


class MailsForm(forms.Form):
    """Which notices also come by e-mail."""

    mails_money = forms.BooleanField(label="Money that arrives, leaves or is owed", required=False)
    mails_orders = forms.BooleanField(
        label="Orders that are filled, expire or are cancelled while you are away", required=False
    )


class NoteForm(forms.Form):
    """Words beside an approval."""

    title: ClassVar[str] = "Approve"
    note = forms.CharField(
        required=False,
        help_text="For the audit trail.",
        widget=UnfoldAdminTextareaWidget(FEW_LINES),
    )


class DeclineForm(forms.Form):
    """Why something is not done."""

    title: ClassVar[str] = "Decline"
    note = forms.CharField(
        label="Why",
        help_text="Who proposed it reads this.",
        widget=UnfoldAdminTextareaWidget(FEW_LINES),
    )


class WithdrawForm(forms.Form):
    """Nothing more to say."""

    title: ClassVar[str] = "Withdraw"


class DeactivateForm(forms.Form):
    """Why somebody is shut out."""

    title: ClassVar[str] = "Shut this person out of every door"
    reason = forms.CharField(
        help_text="For the audit trail.", widget=UnfoldAdminTextareaWidget(FEW_LINES)
    )


class StaffForm(forms.Form):
    """What somebody of the staff may do."""

    title: ClassVar[str] = "Propose what this person may do"
    is_active = forms.BooleanField(
        label="May sign in", required=False, widget=UnfoldBooleanSwitchWidget
    )
    is_staff = forms.BooleanField(label="Staff", required=False, widget=UnfoldBooleanSwitchWidget)
    is_superuser = forms.BooleanField(
        label="Superuser",
        required=False,
        help_text="Can be taken away here; it is given on the server, by create_staff.",
        widget=UnfoldBooleanSwitchWidget,
    )
    roles = forms.MultipleChoiceField(
        required=False,
        choices=[(role, role) for role in rules.ROLES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    reason = forms.CharField(
        help_text="For who decides, and for the audit trail.",
        widget=UnfoldAdminTextareaWidget(FEW_LINES),
    )
