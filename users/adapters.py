"""Hooks of allauth, and of Django's mail."""

import base64
from collections.abc import Sequence
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import context
from allauth.core.internal.httpkit import headed_redirect_response
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpRequest
from django.utils import timezone
from fido2.server import Fido2Server
from fido2.webauthn import PublicKeyCredentialRpEntity

from common import clock
from common.limits import TooManyCalls
from users import operations, queries
from users.models import User

DEVICE_COOKIE = f"{settings.COOKIE_PREFIX}device"
DEVICE_HEADER = "X-Device-Token"


class Outbox(BaseEmailBackend):
    """Django's mail backend: whatever sends mail queues it, in the transaction it is in."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue them; a worker sends them."""
        return operations.queue_mail(messages=email_messages, now=clock.now())


class AccountAdapter(DefaultAccountAdapter):
    """Our rules at sign-in and before what guards an account."""

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], **kwargs: Any
    ) -> EmailMessage:
        """Write a mail, and name its kind for the queue, which shows no subject: some are codes.

        Times are those of whom it is for, whoever made it be sent.
        """
        reader = context.get("user")
        zone = queries.zone_of(reader) if isinstance(reader, User) else None
        with timezone.override(zone or timezone.get_current_timezone()):
            message: EmailMessage = super().render_mail(template_prefix, email, context, **kwargs)
        kind = template_prefix.rpartition("/")[2].replace("_", " ")
        message.about = kind  # type: ignore[attr-defined]
        return message

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Ask for the password again, unless it or a second factor was given a moment ago."""
        return not queries.is_fresh(
            session=self.request.session,
            user=self.request.user,
            within_s=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT,
        )

    def clean_email(self, email: str) -> str:
        """Refuse an address that the column would cut: it would be another one."""
        longest = User._meta.get_field("email").max_length or 0  # noqa: SLF001 - Django's public API
        if len(email) > longest:
            raise ValidationError(f"An address has at most {longest} characters.")
        return str(super().clean_email(email))

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "too_many_login_attempts": "That were too many attempts. Wait a minute, then try again.",
    }

    def pre_authenticate(self, request: Any, **credentials: Any) -> None:
        """Count an attempt by where it comes from: allauth's own count would lock the owner out."""
        try:
            request.sign_in_attempt = operations.begin_sign_in(
                email=credentials.get("email", ""),
                address=self.get_client_ip(request),
                device_token=device_token(request),
            )
        except TooManyCalls as refused:
            raise self.validation_error("too_many_login_attempts") from refused

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        """Look at the password, and forget the attempt if it was right."""
        user = super().authenticate(request, **credentials)
        if user is not None:
            operations.finish_sign_in(request.sign_in_attempt)
        return user

    def is_login_by_code_required(self, login: Any) -> bool:
        """Ask for a mailed code where a right password may be a guess, unless a factor is asked."""
        attempt = getattr(self.request, "sign_in_attempt", None)
        if attempt is None or not attempt.doubtful:
            return False
        return not is_mfa_enabled(login.user, types=["totp", "webauthn"])

    def send_account_already_exists_mail(self, email: str) -> None:
        """Tell the owner, after as much work as opening an account takes: so nobody can tell."""
        make_password(email)
        super().send_account_already_exists_mail(email)

    def pre_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        """Let nobody into an account that its owner locked, not even by passkey."""
        if user.locked_at is not None:
            self.add_message(request, messages.WARNING, "users/messages/locked.txt")
            return headed_redirect_response("account_reset_password")
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: Any, user: Any, *, signup: bool, **kwargs: Any) -> Any:
        """Take a sign-up for a proof: its password was chosen just now."""
        if signup:
            record_authentication(request, user, method="password", email=kwargs["email"])
        return super().post_login(request, user, signup=signup, **kwargs)


def passkey_server() -> Fido2Server:
    """Check passkeys against the page they were asked on, or an app that the settings name.

    It takes the place of allauth's, which in plain HTTP believes any page, and no native app ever.
    """
    request = context.request
    own = f"{request.scheme}://{request.get_host()}"
    entity = PublicKeyCredentialRpEntity(**MFAAdapter().get_public_key_credential_rp_entity())
    known = {own, *settings.PASSKEY_APP_ORIGINS}
    return Fido2Server(entity, verify_origin=known.__contains__)


def device_token(request: HttpRequest) -> str:
    """Give what a device was given when it signed in: a browser in a cookie, an app in a header."""
    kept: str = request.COOKIES.get(DEVICE_COOKIE, "")
    return request.headers.get(DEVICE_HEADER, kept)


class UserSessionsAdapter(DefaultUserSessionsAdapter):
    """Ends sessions for whoever has just proved who they are."""

    def end_sessions(self, sessions: Any) -> None:
        """End sessions; anybody may end the one they are in, which is signing out.

        :raises allauth.core.exceptions.ReauthenticationRequired: for others, after a while
        """
        others = [session for session in sessions if not session.is_current()]
        if others:
            raise_if_reauthentication_required(self.request, app="allauth.usersessions")
        super().end_sessions(sessions)
        if others:
            operations.note_security_act(
                user=self.request.user,
                kind="sessions.ended",
                origin=operations.origin_of(self.request),
                now=clock.now(),
            )


class MFAAdapter(DefaultMFAAdapter):
    """Keeps the secrets of second factors encrypted: allauth itself writes them as they are."""

    def generate_authenticator_name(self, user: Any, type: Any) -> str:  # noqa: A002 - allauth's
        """Propose a name for the next passkey."""
        count = Authenticator.objects.filter(user=user, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def encrypt(self, text: str) -> str:
        """Encrypt a secret under the present key."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt a secret, under the present key or one that was replaced.

        :raises cryptography.fernet.InvalidToken: if no key fits
        """
        return _fernet().decrypt(encrypted_text.encode()).decode()


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derive(str(key))) for key in keys])


def _derive(secret: str) -> bytes:
    """Derive a key for this one use, so that no other use of the secret gives it away."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"krakapp.users.mfa")
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
