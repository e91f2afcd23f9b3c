"""Allauth's hooks."""

import base64

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class MFAAdapter(DefaultMFAAdapter):
    """Keeps the secrets of second factors encrypted: allauth itself writes them as they are."""

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
