import csv
from decimal import Decimal
from pathlib import Path

import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st

from common import numbers
from common.forms import NumberField
from common.numbers import FORMATS, NumberUnread, format_of, read_number

TABLE = Path(__file__).parent / "typed_numbers.csv"  # a journey holds the page's reader against it


def cases() -> list[tuple[str, str, str]]:
    with TABLE.open(encoding="utf-8") as file:
        return [(row["format"], row["typed"], row["reads"]) for row in csv.DictReader(file)]


class TestReadNumber:
    @pytest.mark.parametrize(("number_format", "typed", "reads"), cases())
    def test_reads_what_the_table_says(self, number_format: str, typed: str, reads: str) -> None:
        if reads == "refused":
            with pytest.raises(NumberUnread, match="write it like 1"):
                read_number(typed, number_format)
        else:
            assert read_number(typed, number_format) == Decimal(reads)

    @pytest.mark.parametrize(
        ("number_format", "typed", "said"),
        [
            ("ch", "1,234", "This can be read in two ways; write it like 1’000.50."),  # noqa: RUF001
            ("de", "eins", "This is no number; write it like 1.000,50."),
        ],
    )
    def test_says_how_to_write_it(self, number_format: str, typed: str, said: str) -> None:
        with pytest.raises(NumberUnread) as refusal:
            read_number(typed, number_format)
        assert refusal.value.detail == said

    @given(
        number=st.decimals(0, 10**12, places=2),
        number_format=st.sampled_from(sorted(FORMATS)),
    )
    def test_reads_back_what_its_format_writes(self, number: Decimal, number_format: str) -> None:
        assert read_number(FORMATS[number_format].write(number), number_format) == number

    @given(text=st.text("0123456789.,' ", max_size=12), number_format=st.sampled_from(["en", "de"]))
    def test_never_reads_one_number_for_another(self, text: str, number_format: str) -> None:
        """Whatever is read has the digits that were typed, in their order."""
        try:
            number = read_number(text, number_format)
        except NumberUnread:
            return
        typed = "".join(sign for sign in text if sign.isdigit()).lstrip("0")
        assert f"{number:f}".replace(".", "").lstrip("0") == typed

    def test_reads_no_more_than_forty_signs(self) -> None:
        assert read_number("1" * 40) == Decimal("1" * 40)
        with pytest.raises(NumberUnread):
            read_number("1" * 41)


class TestFormatOf:
    @pytest.mark.parametrize(
        ("languages", "number_format"),
        [
            ("de-DE,de;q=0.9,en;q=0.5", "de"),
            ("de", "de"),
            ("de-CH,de;q=0.9", "ch"),
            ("fr-CH", "ch"),
            ("fr;q=0.9", "fr"),
            ("pl-PL", "fr"),
            ("es-ES", "de"),
            ("es-MX,es;q=0.9", "en"),
            ("en-DE,en;q=0.9,de;q=0.8", "en"),
            ("ja", "en"),
            ("", "en"),
            (";;;,", "en"),
        ],
    )
    def test_follows_the_first_language(self, languages: str, number_format: str) -> None:
        assert format_of(languages) == number_format


class Sum(forms.Form):
    amount = NumberField(decimals=2, least=Decimal(1), most=Decimal(1000))
    some = NumberField(decimals=2, required=False)


class TestNumberField:
    def test_reads_and_writes_in_the_readers_format(self) -> None:
        with numbers.reading("de"):
            form = Sum({"amount": "12,50"}, initial={"some": Decimal("1000.50")})
            assert form.is_valid()
            assert form.cleaned_data == {"amount": Decimal("12.50"), "some": None}
            assert 'value="12,50"' in str(form["amount"])
            assert 'value="1.000,50"' in str(Sum(initial={"amount": Decimal("1000.50")})["amount"])
        assert numbers.active_format() == "en"

    @pytest.mark.parametrize("amount", ["1", "1000", "1000.00", "999.99"])
    def test_takes_what_is_within_its_bounds(self, amount: str) -> None:
        assert Sum({"amount": amount}).is_valid()

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("0.99", "Give a positive number like 12.50."),
            ("1000.01", "This is more than can be counted here."),
            ("1.001", "Give at most 2 decimals."),
            ("-5", "This is no number; write it like 1,000.50."),
            ("1e2", "This is no number; write it like 1,000.50."),
            ("", "This field is required."),
        ],
    )
    def test_says_what_is_wrong(self, typed: str, said: str) -> None:
        assert Sum({"amount": typed}).errors["amount"] == [said]

    def test_takes_nothing_for_a_positive_number(self) -> None:
        assert Sum({"amount": "5", "some": "0"}).errors["some"]
        assert Sum({"amount": "5", "some": "0.01"}).is_valid()
