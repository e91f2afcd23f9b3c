"""What the admin lets anybody write by hand: nothing, and rows of policy only as proposals."""

import pytest
from django.contrib import admin
from django.test import RequestFactory

from tests import world
from users import operations

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


def test_every_act_on_a_row_asks_for_a_right():
    open_ = [
        f"{label}: {name}"
        for label, door in doors()
        for name in door.actions_detail
        if not getattr(getattr(door, name), "allowed_permissions", None)
    ]
    # A proposal's own: `approve`, `decline` and `withdraw` look at the kind and the person.
    assert {line.split(":")[0] for line in open_} <= {"users.proposal"}
