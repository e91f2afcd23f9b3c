"""The people of a journey, each at their own browser."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from tests.journeys.conftest import ROOT, Platform
from tests.journeys.mobile import ANSWERS, DEMO_PASSWORD, PASSWORD, code_mailed_to

PICTURES = ROOT / "var/journeys"
SAID = 1_000  # characters of a page that failed
ROW = '#result_list a[href*="/change/"]'


@contextmanager
def step(name: str, *pages: Page) -> Iterator[None]:
    """Name a step; where it fails, keep a picture of every page, and say what stood there."""
    try:
        yield
    except BaseException as error:
        PICTURES.mkdir(parents=True, exist_ok=True)
        at = f"{datetime.now(tz=UTC):%H%M%S}"
        for number, page in enumerate(pages):
            error.add_note(f"{name}: {page.url} said\n{page.locator('body').inner_text()[:SAID]}")
            page.screenshot(path=PICTURES / f"{at}-{name.replace(' ', '-')}-{number}.png")
        raise


class Customer:
    """Somebody who lives a day in the app."""

    def __init__(self, platform: Platform, page: Page, email: str) -> None:
        self.platform = platform
        self.page = page
        self.email = email

    def sign_up(self) -> None:
        self.page.goto("/")
        self.page.get_by_role("link", name="Open an account").first.click()
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_label("Code").fill(code_mailed_to(self.platform, self.email))
        self.page.get_by_role("button", name="Confirm").click()
        self.page.wait_for_url("**/home/")

    def sign_in(self, password: str = DEMO_PASSWORD) -> None:
        sign_in(self.page, self.email, password)

    def prove_if_asked(self, password: str = PASSWORD) -> None:
        """Give the password again, if the last time was long ago."""
        self.page.wait_for_load_state()
        if self.page.get_by_role("heading", name="Is it you?").is_visible():
            self.page.get_by_label("Password").fill(password)
            self.page.get_by_role("button", name="Go on").click()

    def apply(self) -> None:
        """Answer every question of the application, and submit it."""
        page = self.page
        page.goto("/verify/")
        page.get_by_label("First names", exact=True).fill(ANSWERS["first_names"])
        page.get_by_label("Last names", exact=True).fill(ANSWERS["last_names"])
        page.get_by_label("Date of birth", exact=True).fill(ANSWERS["birth_date"])
        self._go_on()
        page.get_by_label("Country", exact=True).select_option(ANSWERS["residence"])
        page.get_by_label("Street and number", exact=True).fill(ANSWERS["street"])
        page.get_by_label("Postal code", exact=True).fill(ANSWERS["postal_code"])
        page.get_by_label("City", exact=True).fill(ANSWERS["city"])
        self._go_on()
        page.get_by_label("Citizenship", exact=True).select_option(ANSWERS["citizenship"])
        page.get_by_label("Where you pay tax", exact=True).select_option(ANSWERS["tax_residence"])
        page.get_by_label("No, I am not").check()
        self._go_on()
        page.get_by_label("Tax identification number", exact=True).fill(ANSWERS["tax_id"])
        self._go_on()
        expect(page.get_by_role("heading", name="Review and submit")).to_be_visible()
        agreements = page.get_by_role("checkbox").all()  # asks at once, and finds what is there
        assert agreements
        for agreement in agreements:
            agreement.check()
        page.get_by_role("button", name="Submit for review").click()
        expect(page.get_by_text("We are checking your details")).to_be_visible()

    def _go_on(self) -> None:
        self.page.get_by_role("button", name="Save and go on").click()

    def fill_ticket(self, symbol: str, *, amount: str, **choices: str) -> None:
        """Open an instrument and type an order; `side`, `measure` and `type` by their words."""
        self.page.goto(f"/markets/{symbol}/")
        for choice in choices.values():
            if choice in {"Buy", "Sell", "Dollars", "Shares", "Market", "Limit"}:
                radio = self.page.get_by_role("radio", name=choice, exact=True)
                radio.locator("xpath=ancestor::label").click()
        if "limit_price" in choices:
            self.page.get_by_label("Limit price").fill(choices["limit_price"])
        self.page.get_by_label("Amount", exact=True).fill(amount)

    def press(self, words: str | re.Pattern[str]) -> str:
        """Press the ticket's button once it can be, and give the order's id."""
        button = self.page.get_by_role("button", name=words)
        expect(button).to_be_enabled()
        button.click()
        receipt = self.page.locator(".order-receipt")
        expect(receipt).to_be_visible()
        return str(receipt.get_attribute("data-order"))

    def expect_receipt(self, status: str) -> None:
        """Wait until the receipt says so by itself, without reloading."""
        expect(self.page.locator(f'.order-receipt[data-status="{status}"]')).to_be_visible()


class Staff:
    """Somebody of the staff at the admin."""

    def __init__(self, platform: Platform, page: Page, email: str = "sam@demo.test") -> None:
        self.page = page
        self.tried = ""
        with step("sign in to the admin", page):
            fill_in_password(page, email, DEMO_PASSWORD, after="/admin/")
            page.wait_for_url("**/2fa/authenticate/")
            platform.wait_for(lambda: self._is_in() or self._try(platform, email))

    def _is_in(self) -> bool:
        return "/2fa/authenticate/" not in self.page.url

    def _try(self, platform: Platform, email: str) -> bool:
        """Try a code once: one that was used moments ago is refused, and the next is not."""
        code = platform.manage("demo_code", email).strip()
        if code != self.tried and not self._is_in():
            self.tried = code
            self.page.get_by_label("Code").fill(code)
            self.page.get_by_role("button", name="Sign in").click()
        return False

    def propose_approval(self, email: str) -> None:
        """Prepare the decision to open an account."""
        page = self.page
        self.open_first(f"/admin/kyc/application/?q={email}")
        page.get_by_role("link", name="Approve", exact=True).click()
        page.get_by_label("Reason").fill("All answers are plausible.")
        page.get_by_role("button", name="Propose to approve this application").click()
        page.wait_for_url("**/change/**")

    def propose_state(self, symbol: str, state: str) -> None:
        """Propose another state of a market."""
        page = self.page
        self.open_first(f"/admin/trading/book/?q={symbol}")
        page.get_by_role("link", name="Change state").click()
        page.get_by_label("State").select_option(state)
        page.get_by_label("Reason").fill("The drill is over.")
        page.get_by_role("button", name="Propose another state").click()
        page.wait_for_url("**/change/**")

    def halt(self, symbol: str) -> None:
        """Stop a market at once."""
        page = self.page
        self.open_first(f"/admin/trading/book/?q={symbol}")
        page.get_by_role("link", name="Halt now").click()
        page.get_by_label("State").select_option("Cancel Only")
        page.get_by_label("Reason").fill("A drill.")
        page.get_by_role("button", name="Halt the market").click()
        page.wait_for_url("**/change/**")

    def approve_next(self) -> None:
        """Approve the newest proposal that waits."""
        page = self.page
        self.open_first("/admin/users/proposal/?queue=me&status__exact=proposed")
        page.get_by_role("link", name="Approve", exact=True).click()
        page.get_by_role("button", name="Approve").click()
        page.wait_for_url("**/change/**")

    def open_first(self, listing: str) -> None:
        """Open the first row of a list."""
        self.page.goto(listing)
        self.page.locator(ROW).first.click()
        self.page.wait_for_url("**/change/**")

    def find(self, email: str) -> dict[str, int]:
        """Follow every link of a customer's page; give how many rows each list shows."""
        page = self.page
        self.open_first(f"/admin/users/user/?q={email}")
        links = {
            link.inner_text().strip(): str(link.get_attribute("href"))
            for link in page.locator('a[href^="/admin/"][href*="?q="]').all()
        }
        found = {}
        for words, href in links.items():
            page.goto(href)
            found[words] = page.locator(ROW).count()
        return found


def sign_in(page: Page, email: str, password: str, *, after: str = "/home/") -> None:
    with step("sign in", page):
        fill_in_password(page, email, password, after=after)
        page.wait_for_url(f"**{after}")


def fill_in_password(page: Page, email: str, password: str, *, after: str) -> None:
    page.goto(f"/accounts/login/?next={after}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


Opener = Callable[..., Page]
