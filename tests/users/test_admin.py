import pytest
from django.contrib.auth.models import Group

from tests import world
from users import operations


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

    def test_lets_support_change_nobody(self, client, sam):
        bob = world.bob()
        answer = client.post(f"/admin/users/user/{bob.pk}/change/", {"is_staff": "on"})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "page",
        [
            "users/auditentry",
            "users/notice",
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

    def test_shows_the_trail(self, client, sam):
        bob = world.bob()
        operations.record(
            action="card.frozen", actor=sam, subject=bob, at=world.NOW, reason="Lost."
        )
        listed = client.get("/admin/users/auditentry/?q=bob@demo.test").content.decode()
        assert "card.frozen" in listed


@pytest.mark.django_db
class TestTheGroups:
    def test_of_the_staff_exist(self):
        assert set(Group.objects.values_list("name", flat=True)) >= {"Support", "Compliance"}

    def test_let_support_see_everything_and_change_nothing(self):
        codes = set(
            Group.objects.get(name="Support").permissions.values_list("codename", flat=True)
        )
        assert {"view_user", "view_journal", "view_order", "review_application"} <= codes
        assert not {code for code in codes if code.startswith(("add_", "change_", "delete_"))}

    def test_let_compliance_keep_the_policy(self):
        assert world.olivia().has_perm("kyc.change_restrictedplace")
        assert not world.sam().has_perm("kyc.change_restrictedplace")
