from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from tests import world
from users import operations, receivers, rules
from users.models import User

# Who proposes (P) and who approves (A) what two people decide; B does both, as two people.
TWO = """
                             Support  Compliance  Operations  Treasury  Auditor
kyc.approve_application         P         B           -          -         -
kyc.end_restriction             -         B           -          -         -
kyc.lift_account                P         B           -          -         -
kyc.reject_application          P         B           -          -         -
kyc.reopen_application          P         B           -          -         -
kyc.restrict_place              -         B           -          -         -
spending.forgive_shortfall      P         B           -          B         -
spending.unfreeze_card          P         B           -          -         -
trading.change_state            -         A           B          -         -
trading.change_tier             -         A           B          -         -
trading.corporate_action        -         A           P          -         -
trading.set_bands               -         A           B          -         -
trading.set_fees                -         A           P          A         -
trading.set_house_policy        -         A           P          A         -
trading.set_market_rule         -         A           B          -         -
users.change_staff              -         B           -          -         -
users.set_call_limit            -         A           B          -         -
"""
ALONE = {
    "Support": {"spending.freeze_card", "kyc.restrict_account", "users.resend_mail"},
    "Compliance": {
        "spending.freeze_card",
        "trading.halt_market",
        "instruments.cancel_corporateaction",
        "kyc.restrict_account",
        "users.deactivate_user",
    },
    "Operations": {
        "trading.halt_market",
        "instruments.cancel_corporateaction",
        "users.resend_mail",
    },
    "Treasury": set(),
    "Auditor": set(),
}


def granted(role):
    """What Django lets a role do: "app.codename"."""
    codes = Permission.objects.filter(group__name=role)
    return {
        f"{app}.{code}" for app, code in codes.values_list("content_type__app_label", "codename")
    }


def migrated(label):
    receivers.grant_permissions(apps.get_app_config(label), using="default")


def letter(kind, role):
    who = rules.PROPOSALS[kind]
    found = (role in who.proposers, role in who.approvers)
    return {(True, True): "B", (True, False): "P", (False, True): "A"}.get(found, "-")


def test_the_table_of_what_two_decide_is_this_one():
    heads, *lines = TWO.strip().splitlines()
    table = {line.split()[0]: line.split()[1:] for line in lines}
    mine = {kind: letters for kind, letters in table.items() if kind in rules.PROPOSALS}
    assert heads.split() == list(rules.ROLES)
    assert mine == table
    for kind, letters in table.items():
        assert [letter(kind, role) for role in rules.ROLES] == letters, kind


def test_every_kind_is_registered_and_needs_two_roles_that_exist():
    assert {kind.name for kind in operations.kinds()} == set(rules.PROPOSALS)
    for who in rules.PROPOSALS.values():
        assert who.proposers
        assert who.approvers
        assert who.proposers | who.approvers <= set(rules.ROLES)


@pytest.mark.django_db
class TestRoles:
    @pytest.mark.parametrize("role", rules.ROLES)
    def test_are_granted_what_the_table_says_and_no_more(self, role):
        assert granted(role) == rules.permissions_of(role)

    @pytest.mark.parametrize("role", rules.ROLES)
    def test_look_at_much_and_do_little_alone(self, role):
        deeds = {name for name in granted(role) if ".view_" not in name}
        assert deeds == ALONE[role]

    def test_lose_what_leaves_the_table(self, monkeypatch):
        monkeypatch.setattr(rules, "ALONE", {})
        migrated("trading")
        assert "trading.halt_market" not in granted("Compliance")

    def test_are_the_only_way_to_a_right(self):
        olivia, right = world.olivia(), Permission.objects.get(codename="delete_order")
        friends = Group.objects.create(name="Friends")
        friends.permissions.add(right)
        olivia.groups.add(friends)
        olivia.user_permissions.add(right)
        migrated("trading")
        assert not User.objects.get(pk=olivia.pk).has_perm("trading.delete_order")


@pytest.mark.django_db
class TestChangeStaff:
    @pytest.fixture
    def people(self):
        """Two who may, and Bob."""
        admin = operations.create_person(
            email="admin@demo.test", password=world.PASSWORD, is_superuser=True, now=world.NOW
        )
        bob = world.customer("bob@demo.test")
        return SimpleNamespace(olivia=world.olivia(), admin=admin, bob=bob)

    def propose(self, actor, user, **rights):
        standing = {"is_active": True, "is_staff": True, "is_superuser": False, "roles": []}
        return operations.propose(
            kind="users.change_staff",
            payload=operations.staff_payload(user=user, **{**standing, **rights}),
            actor=actor,
            reason="He joins us.",
            now=world.NOW,
        )

    def test_makes_somebody_staff_by_two(self, people):
        made = self.propose(people.olivia, people.bob, roles=["Support"])
        operations.approve(proposal=made, actor=people.admin, now=world.NOW)
        bob = User.objects.get(pk=people.bob.pk)
        assert bob.has_perm("spending.freeze_card")

    def test_gives_nothing_to_oneself(self, people):
        with pytest.raises(operations.AboutYourself):
            self.propose(people.admin, people.admin, roles=["Support"])

    def test_is_not_approved_by_whom_it_raises(self, people):
        sam = world.sam()
        made = self.propose(people.olivia, sam, roles=["Compliance"])
        with pytest.raises(operations.AboutYourself):
            operations.approve(proposal=made, actor=sam, now=world.NOW)

    def test_makes_no_superuser(self, people):
        with pytest.raises(operations.StaffRefused, match="create_staff"):
            self.propose(people.olivia, people.bob, is_superuser=True)

    @pytest.mark.parametrize(
        "rights", [{"roles": ["King"]}, {"is_staff": False, "roles": ["Support"]}]
    )
    def test_knows_its_roles(self, people, rights):
        with pytest.raises(operations.StaffRefused):
            self.propose(people.olivia, people.bob, **rights)

    def test_is_refused_where_the_rights_have_changed_since(self, people):
        made = self.propose(people.olivia, people.bob, roles=["Support"])
        User.objects.filter(pk=people.bob.pk).update(is_active=False)
        with pytest.raises(operations.ProposalConflicted):
            operations.approve(proposal=made, actor=people.admin, now=world.NOW)
        assert not User.objects.get(pk=people.bob.pk).is_staff
