"""A passkey in a browser, from adding it to signing in with it alone."""

from playwright.sync_api import Page, expect

from tests.journeys.people import Customer, step

PHONE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_passkey_opens_the_account_by_itself(platform, new_page):
    by_name = platform.base_url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name
    page: Page = new_page(base_url=by_name)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE})
    nora = Customer(platform, page, "nora.passkey@example.test")
    with step("sign up", page):
        nora.sign_up()
    with step("add a passkey", page):
        page.goto("/accounts/2fa/webauthn/add/")
        page.get_by_label("Sign in with it alone").check()
        page.get_by_role("button", name="Add it").click()
        page.wait_for_url("**/recovery-codes/")
        expect(page.locator("code")).to_have_count(10)
    with step("sign out", page):
        page.goto("/settings/")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{by_name}/")
    with step("sign in alone", page):
        page.goto("/accounts/login/")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url("**/home/")
