"""Every page as axe-core sees it: no violation of WCAG 2.2 AA.

Each page is loaded once, on a light phone, and then looked at again on a dark desktop.
"""

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.journeys.mobile import DEMO_PASSWORD
from tests.journeys.people import sign_in

PHONE = {"width": 360, "height": 780}
DESKTOP = {"width": 1280, "height": 900}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = ["wcag2aa", "wcag22aa"]  # contrast and size: what theme and width change

RUN = """async (rules) => {
  const { violations } = await axe.run({
    runOnly: { type: "tag", values: rules },
    resultTypes: ["violations"],
  });
  const describe = ({ target, html }) => `${target} ${html.slice(0, 160)}`;
  return violations.map(({ id, nodes }) => [id, nodes.slice(0, 5).map(describe)]);
}"""

STRANGER = (
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/help/",
    "/offline/",
    "/design/",
    "/nowhere/",
    "/markets/",
    "/markets/AAPLx/",
)
NEWCOMER = (
    "/home/",
    "/verify/",
    "/verify/address/",
    "/deposit/",
    "/cards/",
    "/orders/",
    "/activity/",
)
CUSTOMER = (
    "/home/",
    "/markets/AAPLx/",
    "/orders/",
    "/portfolio/",
    "/activity/",
    "/deposit/",
    "/cards/",
    "/settings/",
    "/verify/",
    "/agreements/terms/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/sessions/",
    "/accounts/email/",
    "/accounts/password/change/",
)
PEOPLE = {"": STRANGER, "bob@demo.test": NEWCOMER, "alice@demo.test": CUSTOMER}


@pytest.mark.parametrize("email", PEOPLE)
def test_no_page_keeps_anybody_out(new_page: Any, email: str) -> None:
    page = new_page(viewport=PHONE, reduced_motion="reduce")
    if email:
        sign_in(page, email, DEMO_PASSWORD)
    complaints = [words for address in PEOPLE[email] for words in complaints_about(page, address)]
    assert complaints == []


def complaints_about(page: Page, address: str) -> list[str]:
    """Look at a page on a light phone and on a dark desktop; say what is wrong with it."""
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.evaluate(AXE_SCRIPT)
    complaints = found_by_axe(page, f"{address} (phone, light)", RULES)
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    complaints += [f"{address}: {wider} px wider than a phone"] if wider > 0 else []
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="dark")
    return complaints + found_by_axe(page, f"{address} (desktop, dark)", LOOKS)


def found_by_axe(page: Page, where: str, rules: list[str]) -> list[str]:
    """List the violations with the elements that cause them."""
    return [f"{where}: {rule} {nodes}" for rule, nodes in page.evaluate(RUN, rules)]
