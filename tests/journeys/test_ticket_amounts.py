"""The most a ticket offers, held against what the server would set aside for it."""

import random
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from trading.rules import hold_for_notional

SCRIPTS = Path(__file__).resolve().parents[2] / "static/js"
FORM = """
<form>
  <input name="side"><input name="advanced" type="checkbox"><input name="special_type">
  <input name="limit_price"><input name="amount"><input name="measure">
  <p class="ticket-has"></p>
</form>
"""
ASK = """
cases => cases.map(([side, has, percent]) => {
  const form = document.querySelector("form");
  form.elements.side.value = side;
  Object.assign(form.querySelector(".ticket-has").dataset, has);
  return window.part(form, percent, 278.5).amount;
})
"""


@pytest.fixture
def page(browser: Browser) -> Page:
    numbers, amounts = (
        (SCRIPTS / name).read_text(encoding="utf-8") for name in ("numbers.js", "ticket-amount.js")
    )
    numbers = numbers.replace(" plain(", " tidy(")  # each has one of its own
    own = "\n".join(line for line in amounts.splitlines() if not line.startswith("import "))
    page = browser.new_page()
    page.set_content(FORM)
    page.add_script_tag(type="module", content=f"{numbers}\n{own}\nwindow.part = part;")
    return page


def cents(amount: str) -> int:
    whole, _, rest = amount.replace(",", "").partition(".")
    return int(whole or 0) * 100 + int(rest.ljust(2, "0"))


def test_the_most_for_dollars_is_covered_and_a_cent_more_is_not(page: Page) -> None:
    dice = random.Random(7)
    cases = [
        (dice.randrange(10**4, 10 ** dice.randrange(5, 16)), dice.choice([0, 1, 400, 1000, 10_000]))
        for _ in range(500)
    ]
    cases += [(10_010_000, 1000), (10_009_999, 1000), (1_000_000, 0)]
    has = [
        {"cash": f"{cash // 10**6}.{cash % 10**6:06}", "shares": "0", "taker": f"0.{ppm:06}"}
        for cash, ppm in cases
    ]
    offered = page.evaluate(ASK, [("buy", one, 100) for one in has])
    for (cash, ppm), amount in zip(cases, offered, strict=True):
        units = cents(amount) * 10**4
        assert hold_for_notional(units, ppm) <= cash < hold_for_notional(units + 10**4, ppm)


def test_a_part_of_shares_is_rounded_down_and_all_of_them_is_all(page: Page) -> None:
    has = {"cash": "0", "shares": "7.82910362", "taker": "0.001"}
    asked = [("sell", has, percent) for percent in (25, 50, 75, 100)]
    assert page.evaluate(ASK, asked) == ["1.9572", "3.9145", "5.8718", "7.82910362"]
    nothing = {**has, "shares": "0"}
    assert page.evaluate(ASK, [("sell", nothing, 100), ("buy", nothing, 100)]) == ["", ""]
