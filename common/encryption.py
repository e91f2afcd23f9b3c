"""Personal data at rest: encrypted with AES-256-GCM before it reaches the database.

A stored value is `key id (4 bytes) | nonce (12) | ciphertext and tag`. Its additional data are its
table, column and owner, so a value that is moved to another row or column does not decrypt.
The first of `PERSONAL_DATA_KEYS` encrypts and all of them decrypt: a new key goes in front, then
`manage.py rotate_keys` encrypts what the old ones still keep, then an old one can go.

Encrypted columns can't be compared. Where staff have to find a row by such a value, `BlindWords`
beside it keep keyed hashes of its normalized words, which equal words share. A `BlindIndex` is one
of the whole value.
"""

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.query_utils import DeferredAttribute

KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12
BETWEEN_WORDS = re.compile(r"[\s\-.,'\u2019]+")


class CannotDecrypt(Exception):
    """A stored value is not what was encrypted: its key is missing, or it was changed or moved."""


class Ciphertext(bytes):
    """A value as the database keeps it."""

    @property
    def key_id(self) -> bytes:
        """Which key encrypted it."""
        return self[:KEY_ID_BYTES]


class Key:
    """One of the keys: it encrypts, decrypts and makes blind indexes."""

    def __init__(self, secret: bytes) -> None:
        """Derive a key for each use, so that neither gives the other away."""
        self.id = _derive(secret, "id")[:KEY_ID_BYTES]
        self._cipher = AESGCM(_derive(secret, "encrypt"))
        self._index = _derive(secret, "index")

    def encrypt(self, text: str, *, bound_to: str) -> Ciphertext:
        """Encrypt a text under a fresh nonce."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), bound_to.encode())
        return Ciphertext(self.id + nonce + sealed)

    def decrypt(self, value: Ciphertext, *, bound_to: str) -> str:
        """Give the text again.

        :raises CannotDecrypt: if the value was changed, or belongs to something else
        """
        nonce = value[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        sealed = value[KEY_ID_BYTES + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, bound_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise CannotDecrypt(f"{bound_to} was changed, or belongs elsewhere") from error

    def index(self, text: str, *, of: str) -> bytes:
        """Give the blind index of a text: equal texts of one column have the same."""
        return hmac.digest(self._index, f"{of}:{normalized(text)}".encode(), hashlib.sha256)


def keys() -> Sequence[Key]:
    """Give the keys of the settings; the first one encrypts."""
    return _keys(tuple(settings.PERSONAL_DATA_KEYS))


@lru_cache(maxsize=4)
def _keys(secrets: tuple[str, ...]) -> Sequence[Key]:
    return [Key(bytes.fromhex(secret)) for secret in secrets]


def _derive(secret: bytes, use: str) -> bytes:
    info = f"krakapp.personal_data.{use}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def decrypt(value: Ciphertext, *, bound_to: str) -> str:
    """Decrypt a stored value under whichever key encrypted it.

    :raises CannotDecrypt: if that key is not in the settings, or the value was changed or moved
    """
    for key in keys():
        if key.id == value.key_id:
            return key.decrypt(value, bound_to=bound_to)
    raise CannotDecrypt(
        f"{bound_to} was encrypted under key {value.key_id.hex()}, "
        "which is not among PERSONAL_DATA_KEYS"
    )


def normalized(text: str) -> str:
    """Write a text as everybody who means the same would: no case, accents or double spaces."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


class _Decrypting(DeferredAttribute):
    """Decrypts a column when it is first asked for: most readers of a row never do."""

    field: "EncryptedText"

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, Ciphertext):
            text = decrypt(value, bound_to=self.field.binding(instance))
            value = self.field.from_text(text)
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedText(models.Field):  # type: ignore[type-arg]
    """A text that is encrypted at rest; "" is kept as null.

    :param bound_to: the attribute that says whose it is; it is known before the row is, as a
        foreign key is, and never changes
    """

    descriptor_class = _Decrypting
    empty: Any = ""

    def __init__(self, *args: Any, bound_to: str = "", **kwargs: Any) -> None:
        """Be optional: a required answer is a matter of the form."""
        self.bound_to = bound_to
        kwargs |= {"null": True, "blank": True}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Say how it is made again, for migrations."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "bound_to": self.bound_to}

    def get_internal_type(self) -> str:
        """Be kept as bytes."""
        return "BinaryField"

    def get_default(self) -> Any:
        """Begin empty."""
        return self.empty

    def binding(self, instance: models.Model) -> str:
        """Say what a row's value is bound to: its table, column and owner.

        :raises ValueError: if the row does not say yet whose it is
        """
        owner = getattr(instance, self.bound_to)
        if owner is None:
            raise ValueError(f"{self.name} can't be encrypted before {self.bound_to} is known")
        return f"{_table(self)}.{self.column}:{owner}"

    def to_text(self, value: Any) -> str:
        """Write a value as the text to encrypt."""
        return str(value)

    def from_text(self, text: str) -> Any:
        """Read a value from its text."""
        return text

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """Leave it encrypted until somebody asks."""
        return self.empty if value is None else Ciphertext(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001
        """Encrypt what is written under the first key."""
        value = getattr(model_instance, self.attname)
        if value in (None, ""):
            return None
        return keys()[0].encrypt(self.to_text(value), bound_to=self.binding(model_instance))

    def get_prep_value(self, value: Any) -> Any:
        """Let only encrypted values through to the database.

        :raises TypeError: for a plain one, as in a filter or an update of a queryset
        """
        if value is not None and not isinstance(value, Ciphertext):
            raise TypeError(f"{self.name} is encrypted: it can't be compared or updated in bulk")
        return super().get_prep_value(value)


class EncryptedDate(EncryptedText):
    """A date that is encrypted at rest."""

    empty = None

    def to_text(self, value: Any) -> str:
        """Write it as ISO 8601 does."""
        return date.isoformat(value)

    def from_text(self, text: str) -> Any:
        """Read it again."""
        return date.fromisoformat(text)


class BlindIndex(models.BinaryField):  # type: ignore[type-arg]  # can be told apart only by mypy
    """The keyed hash of an encrypted column, by which a row can be found but not read.

    :param of: the attribute it indexes; who saves only some fields names both
    """

    def __init__(self, *args: Any, of: str = "", **kwargs: Any) -> None:
        """Follow a column."""
        self.of = of
        kwargs |= {"null": True, "editable": False}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Say how it is made again, for migrations."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001
        """Hash what the column holds now."""
        text = getattr(model_instance, self.of)
        value = keys()[0].index(text, of=self._column()) if text else None
        setattr(model_instance, self.attname, value)
        return value

    def candidates(self, text: str) -> list[bytes]:
        """Give what the index of a text may be, under any of the keys."""
        return [key.index(text, of=self._column()) for key in keys()]

    def _column(self) -> str:
        return f"{_table(self)}.{self.of}"


class BlindWords(ArrayField):  # type: ignore[type-arg]
    """The keyed hashes of each word of encrypted columns, by which a row is found by some of them.

    :param of: the attributes it indexes; who saves only some fields names them all
    """

    def __init__(self, *args: Any, of: Sequence[str] = (), **kwargs: Any) -> None:
        """Follow some columns."""
        self.of = tuple(of)
        kwargs |= {"base_field": models.BinaryField(), "null": True, "editable": False}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Say how it is made again, for migrations."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001
        """Hash the words that the columns hold now."""
        texts = [getattr(model_instance, name) or "" for name in self.of]
        value = self._hashes(keys()[0], " ".join(texts)) or None
        setattr(model_instance, self.attname, value)
        return value

    def matching(self, text: str) -> models.Q:
        """Match rows with all the words of a text, under any of the keys; none for no words."""
        wanted = [self._hashes(key, text) for key in keys()]
        found = models.Q(pk__in=[])
        for hashes in filter(None, wanted):
            found |= models.Q(**{f"{self.attname}__contains": hashes})
        return found

    def _hashes(self, key: Key, text: str) -> list[bytes]:
        column = f"{_table(self)}.{self.attname}"
        words = {word for word in BETWEEN_WORDS.split(normalized(text)) if word}
        return sorted(key.index(word, of=column) for word in words)


def _table(field: "models.Field[Any, Any]") -> str:
    return str(field.model._meta.db_table)  # noqa: SLF001 - Django's own, documented
