"""The design system's tags, rendered as templates render them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.test import override_settings
from django.utils.html import strip_tags

from common.money import USD, Amount, Unit

urlpatterns: list[Any] = []  # of an installation without pages


def render(source: str, **context: object) -> str:
    return Template(source).render(Context(context)).strip()


def text(source: str, **context: object) -> str:
    return strip_tags(render(source, **context)).strip()


class TestMoney:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (Amount.parse("12483.07", USD), "$12,483.07"),
            (12_483_070_000, "$12,483.07"),
            (Decimal("0.029"), "$0.02"),
            ("-4.5", "\N{MINUS SIGN}$4.50"),
            (0, "$0.00"),
        ],
    )
    def test_takes_amounts_units_and_decimals_and_cuts_what_is_below_a_cent(
        self, value: Any, shown: str
    ) -> None:
        assert text("{% money value %}", value=value) == shown

    def test_never_shows_more_than_is_there_nor_less_than_has_left(self) -> None:
        assert text("{% money value %}", value=Decimal("12.349999")) == "$12.34"
        left = text("{% money value signed=True %}", value=Decimal("-250.240038"))
        assert left == "\N{MINUS SIGN}$250.25"

    def test_says_that_a_crumb_is_there(self) -> None:
        assert text("{% money value %}", value=Decimal("0.0034")) == "&lt;$0.01"

    def test_shows_plus_only_for_a_change(self) -> None:
        assert text("{% money '5' %}") == "$5.00"
        assert text("{% money '5' signed=True %}") == "+$5.00"

    def test_does_not_make_zero_of_what_is_unknown(self) -> None:
        assert text("{% money None %}") == "&ndash;"

    def test_shows_shares_as_shares(self) -> None:
        amount = Amount(150_000_000, Unit("AAPLx", 8))
        assert text("{% money amount %}", amount=amount) == "1.5 AAPLx"

    def test_keeps_the_exact_value_for_machines(self) -> None:
        assert 'value="0.029"' in render("{% money '0.029' %}")


class TestPrice:
    def test_rounds_to_cents_and_finer_below_a_dollar(self) -> None:
        assert text("{% price '278.505' %}") == "$278.50"
        assert text("{% price '0.123456' %}") == "$0.1235"

    def test_is_live_with_a_symbol(self) -> None:
        assert '<live-price class="price" symbol="AAPLx"' in render("{% price '1' 'AAPLx' %}")


class TestChange:
    @pytest.mark.parametrize(
        ("pct", "shown", "tone"),
        [
            ("1.254", "+1.25%", "up"),
            (Decimal("-0.6"), "\N{MINUS SIGN}0.60%", "down"),
            ("0.001", "0.00%", "flat"),
            (None, "&ndash;", "flat"),
        ],
    )
    def test_carries_its_sign_in_words_and_its_tone_beside(
        self, pct: Any, shown: str, tone: str
    ) -> None:
        html = render("{% change pct %}", pct=pct)
        assert strip_tags(html).strip() == shown
        assert f'data-tone="{tone}"' in html


class TestShares:
    def test_shows_four_decimals_and_keeps_the_rest_at_hand(self) -> None:
        html = render("{% shares '0.08970123' 'AAPLx' %}")
        assert strip_tags(html) == "0.0897 AAPLx"
        assert 'title="0.08970123"' in html

    def test_shows_all_of_a_very_small_quantity(self) -> None:
        assert text("{% shares 12 'AAPLx' %}") == "0.00000012 AAPLx"

    def test_writes_whole_numbers_whole(self) -> None:
        assert text("{% shares '1200.00000000' 'SPYx' unit=False %}") == "1,200"


class TestStatus:
    def test_reads_as_words_and_takes_the_tone_of_the_state(self) -> None:
        html = render("{% status 'partially_filled' %}")
        assert strip_tags(html) == "Partially filled"
        assert 'data-tone="info"' in html

    def test_stays_neutral_for_a_state_it_does_not_know(self) -> None:
        assert 'data-tone="flat"' in render("{% status 'cancelled' %}")


class TestSparkline:
    def test_draws_the_line_from_first_to_last(self) -> None:
        html = render("{% sparkline points %}", points=[Decimal(1), Decimal(3), Decimal(2)])
        assert 'points="0.0,30.0 50.0,2.0 100.0,16.0"' in html
        assert 'data-tone="up"' in html

    def test_keeps_the_room_where_there_is_nothing_to_draw(self) -> None:
        assert render("{% sparkline points %}", points=[]) == '<span class="sparkline"></span>'


class TestAgo:
    def test_names_the_time_for_people_and_machines(self) -> None:
        html = render("{% ago at %}", at=dt.datetime(2026, 3, 1, 9, 5, tzinfo=dt.UTC))
        assert 'datetime="2026-03-01T09:05:00+00:00"' in html
        assert strip_tags(html) == "1 Mar, 09:05"
        brief = render("{% ago at brief=True %}", at=dt.datetime(2026, 3, 1, 9, 5, tzinfo=dt.UTC))
        assert strip_tags(brief) == "1 Mar"
        assert "09:05:00" in brief


class SampleForm(forms.Form):
    amount = forms.DecimalField(help_text="In dollars.")
    agree = forms.BooleanField(label="I agree")


class TestField:
    def test_ties_label_hint_and_error_to_the_input(self) -> None:
        html = render("{% field form.amount %}", form=SampleForm({"amount": "ten"}))
        assert 'for="id_amount"' in html
        assert 'aria-describedby="id_amount_hint id_amount_error"' in html
        assert 'aria-invalid="true"' in html
        assert "Enter a number." in html

    def test_passes_attributes_on_to_the_input(self) -> None:
        assert 'inputmode="decimal"' in render(
            "{% field form.amount inputmode='decimal' %}", form=SampleForm()
        )

    def test_puts_a_checkbox_inside_its_label(self) -> None:
        assert 'class="check"' in render("{% field form.agree %}", form=SampleForm())


class TestComponent:
    def test_gives_the_block_to_the_components_template(self) -> None:
        html = render('{% component "panel" title="Orders" %}<p>None.</p>{% endcomponent %}')
        assert "<p>None.</p>" in html
        assert 'aria-label="Orders"' in html

    def test_turns_props_into_attributes_and_escapes_them(self) -> None:
        html = render(
            '{% component "button" hx_post="/a" data_opens=name disabled=True id=none %}Go'
            "{% endcomponent %}",
            name='"><script>',
            none=None,
        )
        assert 'hx-post="/a" data-opens="&quot;&gt;&lt;script&gt;" disabled>' in html
        assert "id=" not in html

    def test_hands_a_caught_component_to_a_prop(self) -> None:
        html = render(
            '{% component "badge" as more %}New{% endcomponent %}'
            '{% component "panel" title="A" actions=more %}b{% endcomponent %}'
        )
        assert '<div class="panel-actions"><span class="badge"' in html.replace("\n", "")

    def test_does_not_see_the_page(self) -> None:
        html = render('{% component "panel" %}x{% endcomponent %}', title="Secret")
        assert "Secret" not in html


class TestMaybeUrl:
    def test_is_empty_for_a_page_that_does_not_exist(self) -> None:
        assert render("{% maybe_url 'nowhere:at_all' %}") == ""

    def test_goes_by_the_addresses_in_force(self) -> None:
        home = "{% maybe_url 'portfolio:home' %}"
        assert render(home) == "/home/"
        with override_settings(ROOT_URLCONF=__name__):
            assert render(home) == ""
        assert render(home) == "/home/"
