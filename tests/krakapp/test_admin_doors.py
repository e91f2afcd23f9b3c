"""What the admin lets anybody write by hand: nothing, and rows of policy only as proposals."""

import pytest
from django.contrib import admin
from django.test import RequestFactory

from tests import world
from users import operations
from users.models import User

PROPOSED = {
    "kyc.restrictedplace",
    "payments.adjustment",
    "payments.bankpolicy",
    "payments.treasurymovement",
    "trading.bandrule",
    "trading.feetier",
    "trading.housepolicy",
    "trading.marketrule",
    "users.calllimit",
}


@pytest.fixture
def request_of_admin(db):
    """A request of who may do everything there is."""
    request = RequestFactory().get("/")
    request.user = operations.create_person(
        email="admin@demo.test", password=world.PASSWORD, is_superuser=True, now=world.NOW
    )
    return request


def doors():
    return [(model._meta.label_lower, door) for model, door in admin.site._registry.items()]


def test_nobody_changes_or_deletes_a_row_by_hand(request_of_admin):
    open_ = [
        label
        for label, door in doors()
        if door.has_change_permission(request_of_admin)
        or door.has_delete_permission(request_of_admin)
    ]
    assert open_ == []


def test_a_row_is_added_by_a_proposal_or_not_at_all(request_of_admin):
    added = {label for label, door in doors() if door.has_add_permission(request_of_admin)}
    assert added == PROPOSED


def test_no_list_acts_on_many_rows_but_to_send_mail_again():
    assert [label for label, door in doors() if door.actions] == ["users.mail"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "guess",
    [
        "users/user/?password__startswith=pbkdf2",
        "users/mail/?content__contains=code",
        "users/securityevent/?before__contains=secret",
        "kyc/application/?names_index=x",
        "spending/card/?token__startswith=a",
        "users/user/?groups__permissions__codename__startswith=a",
    ],
)
def test_no_list_tells_by_its_filter_what_a_column_holds_that_nobody_is_shown(client, guess):
    client.force_login(User.objects.create_superuser("admin@demo.test", world.PASSWORD))
    assert client.get(f"/admin/{guess.partition('?')[0]}").status_code == 200
    assert client.get(f"/admin/{guess}").status_code == 400


def test_a_list_is_narrowed_by_each_filter_that_it_offers(client, request_of_admin):
    client.force_login(request_of_admin.user)
    for address in ("users/user/?is_staff__exact=1", "users/proposal/?queue=me&status__exact=x"):
        assert client.get(f"/admin/{address}").status_code == 200


@pytest.mark.django_db
def test_staff_change_their_password_where_they_are_told_of_it(client):
    client.force_login(world.sam())
    answer = client.post("/admin/password_change/", {})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/change/")


def test_every_act_on_a_row_asks_for_a_right():
    open_ = [
        f"{label}: {name}"
        for label, door in doors()
        for name in door.actions_detail
        if not getattr(getattr(door, name), "allowed_permissions", None)
    ]
    # A proposal's own: `approve`, `decline` and `withdraw` look at the kind and the person.
    assert {line.split(":")[0] for line in open_} <= {"users.proposal"}
