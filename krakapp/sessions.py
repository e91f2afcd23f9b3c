"""Sessions: rows in the database, read by prepared statements, each with a limited life.

A row expires after a time without use, and at the end of its absolute life at the latest
(`SESSION_LIVES`). A browser holds the row's key in a cookie. An app holds a token, which is the
key encrypted, so that neither value opens the other's door.
"""

import base64
import binascii
import logging
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from allauth.usersessions.models import UserSession
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.http import HttpRequest

from common import clock
from common.database import prepared, read

KIND = "session_kind"
BEGAN = "session_began"
NOTED_EVERY = timedelta(minutes=1)  # a use is written down once in this time

logger = logging.getLogger(__name__)


class SessionStore(db.SessionStore):
    """Django's own, which is read in a fifth of the time and ends by our rules."""

    _expires: datetime | None = None

    def _get_session_from_db(self) -> Any:
        which = "WHERE session_key = %s AND expire_date > %s"
        for session in read(self.model, which, [self.session_key, clock.now()]):
            self._expires = session.expire_date
            return session
        self._session_key = None
        return None

    def exists(self, session_key: str) -> bool:
        """Tell whether a key is taken."""
        return bool(prepared("SELECT FROM django_session WHERE session_key = %s", [session_key]))

    def get_expiry_date(self, **_kwargs: Any) -> datetime:
        """Say when the row expires unless it is used before."""
        idle, _ = settings.SESSION_LIVES[self.get(KIND, "browser")]
        return min(clock.now() + idle, self._ends())

    def get_expiry_age(self, **_kwargs: Any) -> int:
        """Say for how many seconds a browser keeps the cookie: the row may expire earlier."""
        return max(0, int((self._ends() - clock.now()).total_seconds()))

    def touch(self) -> None:
        """Let a session live on that somebody signed in is using; at most once a minute."""
        if SESSION_KEY not in self or BEGAN not in self or self._expires is None:
            return
        expires = self.get_expiry_date()
        if expires - self._expires < NOTED_EVERY:
            return
        self.model.objects.filter(session_key=self.session_key).update(expire_date=expires)
        UserSession.objects.filter(session_key=self.session_key).update(last_seen_at=clock.now())
        self._expires = expires

    def _ends(self) -> datetime:
        """Say when the session's absolute life is over."""
        _, absolute = settings.SESSION_LIVES[self.get(KIND, "browser")]
        began = self.get(BEGAN)
        start = datetime.fromtimestamp(began, tz=UTC) if began else clock.now()
        return start + absolute


def begin(sender: Any, request: HttpRequest, user: Any, **_kwargs: Any) -> None:
    """Note when a session began and whose it is: a browser's, an app's or the staff's."""
    kind = "app" if is_headless_request(request) == "app" else "browser"
    request.session[KIND] = "staff" if user.is_staff else kind
    request.session[BEGAN] = int(clock.now().timestamp())


class TokenStrategy(SessionTokenStrategy):  # type: ignore[misc]
    """Gives apps a token for their session."""

    def create_session_token(self, request: HttpRequest) -> str:
        """Give the token of the request's session, the same one each time."""
        return seal(super().create_session_token(request))

    def lookup_session(self, session_token: str) -> SessionStore | None:
        """Find the session of a token; None for a wrong one, and where the session has ended."""
        session_key = unseal(session_token)
        if session_key is None:
            return None
        session = SessionStore(session_key)
        session.touch()  # reads it; what has ended loses its key
        return session if session.session_key else None


def seal(session_key: str) -> str:
    """Encrypt a session's key into the token that stands for it."""
    sealed = _ciphers(settings.SECRET_KEY)[0].encrypt(session_key.encode(), None)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unseal(token: str) -> str | None:
    """Read a token, under the present key or one that was replaced; None if it is none of ours."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    for cipher in _ciphers(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return cipher.decrypt(sealed, None).decode()
        except (InvalidTag, ValueError):
            continue
    return None


@cache
def _ciphers(*secrets: str) -> list[AESSIV]:
    """Derive keys for this one use, so that no other use of a secret gives them away."""
    return [
        AESSIV(
            HKDF(algorithm=SHA256(), length=64, salt=None, info=b"krakapp.sessions").derive(
                secret.encode()
            )
        )
        for secret in secrets
    ]
