"""The ways in, as the tests take them: a browser signed in a moment ago, an app's token."""

import time
from datetime import timedelta

from allauth.account.internal.flows.login import (
    _AUTHENTICATION_METHODS_USER_SESSION_KEY as WHO,
)
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY as PROOFS
from django.test import Client

import users.operations
from krakapp import sessions
from users.models import User

PLAIN = Client.force_login
KEY = "JBSWY3DPEHPK3PXP"  # of an app's codes, in base 32


def force_login(client: Client, user: User, backend: str | None = None) -> None:
    """Sign in without a password, as if it had been given just now; staff with a second factor."""
    PLAIN(client, user, backend)
    if user.is_staff:
        users.operations.enroll_app(user=user, key=KEY)
    proven(client, user, "password", *(["mfa"] if user.is_staff else []))


def proven(client: Client, user: User, *methods: str, ago: timedelta = timedelta(0)) -> None:
    """Note in the client's session that so long ago somebody proved who they are."""
    session = client.session
    session[WHO] = str(user.pk)
    session[PROOFS] = [
        {"method": method, "at": time.time() - ago.total_seconds()} for method in methods
    ]
    session.save()


def token_of(client: Client) -> str:
    """Give the token that an app would hold for the client's session."""
    return sessions.seal(client.session.session_key)
