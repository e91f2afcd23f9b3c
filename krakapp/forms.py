"""The form of the design page: one field of each kind, none of them real."""

from django import forms


class SampleForm(forms.Form):
    """One of each, so that every kind of field is looked at."""

    amount = forms.DecimalField(initial="25.00", localize=True)
    country = forms.ChoiceField(
        choices=[("DE", "Germany"), ("ES", "Spain")], help_text="Where you pay tax."
    )
    note = forms.CharField(required=False, label="Reference")
    kind = forms.ChoiceField(
        choices=[("virtual", "Virtual card"), ("physical", "Card in the mail")],
        widget=forms.RadioSelect,
        label="Which card",
    )
    agree = forms.BooleanField(label="I have read the terms, version 3.")
