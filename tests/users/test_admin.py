import pytest

from common import clock
from tests import world
from users import operations
from users.models import Proposal


@pytest.fixture
def sam(client):
    sam = world.sam()
    client.force_login(sam)
    return sam


@pytest.mark.django_db
class TestTheAdmin:
    def test_finds_a_customer_and_leads_to_all_about_them(self, client, sam):
        bob = world.bob()
        assert "bob@demo.test" in client.get("/admin/users/user/?q=bob").content.decode()
        shown = client.get(f"/admin/users/user/{bob.pk}/change/").content.decode()
        assert "/admin/kyc/application/?q=bob%40demo.test" in shown
        assert "/admin/ledger/journal/?q=bob%40demo.test" in shown

    def test_finds_a_customer_by_words_of_the_name(self, client, sam):
        bob = world.bob()
        client.force_login(sam)
        for words, found in (("okafor bob", True), ("okafor alice", False), ("oka", False)):
            page = client.get("/admin/users/user/", {"q": words}).content.decode()
            assert (f"/admin/users/user/{bob.pk}/change/" in page) == found, words

    def test_tells_simulated_customers_apart(self, client, sam):
        robin, bob = world.simulated(), world.bob()
        listed = client.get("/admin/users/user/?simulated__exact=1").content.decode()
        assert robin.email in listed
        assert bob.email not in listed
        real = client.get("/admin/users/user/?simulated__exact=0").content.decode()
        assert (robin.email in real, bob.email in real) == (False, True)

    def test_lets_support_change_nobody(self, client, sam):
        bob = world.bob()
        answer = client.post(f"/admin/users/user/{bob.pk}/change/", {"is_staff": "on"})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "page",
        [
            "users/notice",
            "users/proposal",
            "account/emailaddress",
            "kyc/application",
            "kyc/restrictedplace",
            "payments/depositinstruction",
            "payments/bankcredit",
            "ledger/account",
        ],
    )
    def test_opens_to_support(self, client, sam, page):
        world.fund(world.alice(), "100")
        assert client.get(f"/admin/{page}/").status_code == 200

    @pytest.mark.parametrize("page", ["users/auditentry", "payments/bankcredit"])
    def test_adds_nothing_by_hand_not_even_for_a_superuser(self, client, page):
        admin = world.customer("admin@demo.test")
        admin.is_staff = admin.is_superuser = True
        admin.save()
        client.force_login(admin)
        assert client.get(f"/admin/{page}/add/").status_code == 403

    @pytest.mark.parametrize("page", ["users/auditentry", "trading/housepolicy", "trading/shard"])
    def test_keeps_from_support_what_it_needs_not(self, client, sam, page):
        assert client.get(f"/admin/{page}/").status_code == 403

    def test_shows_the_trail(self, client):
        sam, bob = world.sam(), world.bob()
        client.force_login(world.olivia())
        operations.record(
            action="card.frozen", actor=sam, subject=bob, at=world.NOW, reason="Lost."
        )
        listed = client.get("/admin/users/auditentry/?q=bob@demo.test").content.decode()
        assert "card.frozen" in listed


@pytest.mark.django_db
class TestNobody:
    """Changes another person alone, not even a superuser."""

    @pytest.fixture(autouse=True)
    def admin(self, client):
        admin = operations.create_person(
            email="admin@demo.test", password=world.PASSWORD, is_superuser=True, now=world.NOW
        )
        client.force_login(admin)
        return admin

    @pytest.mark.parametrize(
        "page", ["users/user", "account/emailaddress", "users/proposal", "users/auditentry"]
    )
    def test_is_added(self, client, page):
        assert client.get(f"/admin/{page}/add/").status_code == 403

    @pytest.mark.parametrize(
        "page", ["auth/group", "mfa/authenticator", "usersessions/usersession"]
    )
    def test_has_a_factor_a_session_or_a_role_touched(self, client, page):
        assert client.get(f"/admin/{page}/").status_code == 404

    def test_gives_rights_or_another_password(self, client, admin):
        sam = world.sam()
        for person in (sam, admin):
            address = f"/admin/users/user/{person.pk}/change/"
            assert client.post(address, {"is_superuser": "on"}).status_code == 403
        client.post(
            f"/admin/users/user/{sam.pk}/password/", {"password1": "x" * 20, "password2": "x" * 20}
        )
        sam.refresh_from_db()
        assert not sam.is_superuser
        assert sam.check_password(world.PASSWORD)

    def test_is_let_in_again_by_one(self, client):
        sam = world.sam()
        client.post(f"/admin/users/user/{sam.pk}/deactivate/", {"reason": "He left."})
        sam.refresh_from_db()
        assert not sam.is_active
        typed = {"is_active": "on", "is_staff": "on", "roles": ["Support"], "reason": "Back."}
        client.post(f"/admin/users/user/{sam.pk}/staff/", typed)
        made = Proposal.objects.get()
        client.post(f"/admin/users/proposal/{made.pk}/approve/")
        sam.refresh_from_db()
        assert not sam.is_active
        operations.approve(proposal=made, actor=world.olivia(), now=clock.now())
        sam.refresh_from_db()
        assert sam.is_active

    def test_changes_an_address(self, client):
        address = world.sam().emailaddress_set.get()
        page = f"/admin/account/emailaddress/{address.pk}/change/"
        assert client.post(page, {"email": "mine@evil.test"}).status_code == 403
