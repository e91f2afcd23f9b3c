import os
from datetime import date

import pytest
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from common import encryption
from common.encryption import CannotDecrypt, Ciphertext, Key, keys
from krakapp import settings as read
from kyc import queries
from kyc.models import Application
from tests import world

OWNER = "kyc_application.street:1"
BOB = {**world.ANSWERS, "first_names": "Bob", "last_names": "Okafor"}
COLUMNS = ("first_names", "last_names", "birth_date", "street", "postal_code", "city", "tax_id")


def raw(application):
    """Give the columns as the database has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(COLUMNS)} FROM kyc_application WHERE id = %s", [application.pk]
        )
        return dict(zip(COLUMNS, map(bytes, cursor.fetchone()), strict=True))


def write(application, column, value):
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE kyc_application SET {column} = %s WHERE id = %s", [value, application.pk]
        )


def again(application):
    return Application.objects.get(pk=application.pk)


class TestKey:
    @given(st.text(), st.text(max_size=40))
    def test_gives_back_what_it_encrypted(self, text, owner):
        key = Key(os.urandom(32))
        assert key.decrypt(key.encrypt(text, bound_to=owner), bound_to=owner) == text

    def test_never_encrypts_the_same_text_alike(self):
        key = Key(os.urandom(32))
        assert key.encrypt("x", bound_to=OWNER) != key.encrypt("x", bound_to=OWNER)

    @given(st.data())
    def test_refuses_what_was_changed(self, data):
        key = Key(os.urandom(32))
        value = bytearray(key.encrypt("12 rue des Lilas", bound_to=OWNER))
        at = data.draw(st.integers(encryption.KEY_ID_BYTES, len(value) - 1))
        value[at] ^= data.draw(st.integers(1, 255))
        with pytest.raises(CannotDecrypt):
            key.decrypt(Ciphertext(value), bound_to=OWNER)

    @given(st.integers(0, 40))
    def test_refuses_what_was_cut(self, length):
        key = Key(os.urandom(32))
        value = key.encrypt("12 rue des Lilas", bound_to=OWNER)[:length]
        with pytest.raises(CannotDecrypt):
            key.decrypt(Ciphertext(value), bound_to=OWNER)

    def test_refuses_what_belongs_to_somebody_else(self):
        key = Key(os.urandom(32))
        value = key.encrypt("12 rue des Lilas", bound_to=OWNER)
        with pytest.raises(CannotDecrypt):
            key.decrypt(value, bound_to="kyc_application.street:2")


class TestNormalized:
    @pytest.mark.parametrize(
        ("typed", "same"),
        [("Müller", "MULLER"), ("Müller", "Mu\u0308ller"), (" de  la Cruz ", "De La Cruz")],
    )
    def test_is_the_same_however_a_name_is_written(self, typed, same):
        assert encryption.normalized(typed) == encryption.normalized(same)


class TestSettings:
    def test_refuse_a_key_that_is_none(self, monkeypatch):
        for wrong in ("secret", "00" * 31, "zz" * 32, f"{'00' * 32},short", ","):
            monkeypatch.setenv("PERSONAL_DATA_KEYS", wrong)
            with pytest.raises(read.ImproperlyConfigured, match="PERSONAL_DATA_KEYS"):
                read.env_keys("PERSONAL_DATA_KEYS")


@pytest.mark.django_db
class TestAnApplication:
    def test_is_read_as_it_was_written(self):
        application = again(world.bob().application)
        for name in COLUMNS:
            assert getattr(application, name) == BOB[name]

    def test_stands_in_the_database_encrypted(self):
        stored = b"".join(raw(world.bob().application).values())
        for name in COLUMNS:
            assert str(BOB[name]).encode() not in stored

    def test_keeps_what_was_not_answered_as_null(self):
        application = Application(user=world.customer("new@demo.test"), created_at=world.NOW)
        application.save()
        stored = Application.objects.filter(pk=application.pk).extra(
            where=["street IS NULL AND birth_date IS NULL AND names_index IS NULL"]
        )
        assert stored.exists()
        assert (again(application).street, again(application).birth_date) == ("", None)

    def test_does_not_decrypt_a_value_of_another_customer(self):
        bob, carol = world.bob().application, world.carol().application
        write(bob, "street", raw(carol)["street"])
        with pytest.raises(CannotDecrypt):
            _ = again(bob).street

    def test_does_not_decrypt_a_value_of_another_column(self):
        bob = world.bob().application
        write(bob, "city", raw(bob)["street"])
        with pytest.raises(CannotDecrypt):
            _ = again(bob).city

    def test_does_not_pass_to_another_customer_with_its_row(self):
        bob, stranger = world.bob().application, world.customer("stranger@demo.test")
        Application.objects.filter(pk=bob.pk).update(user=stranger)
        with pytest.raises(CannotDecrypt):
            _ = again(bob).tax_id

    def test_fails_loudly_where_the_key_is_missing(self, settings):
        bob = world.bob().application
        settings.PERSONAL_DATA_KEYS = ["11" * 32]
        with pytest.raises(CannotDecrypt, match="not among PERSONAL_DATA_KEYS"):
            _ = again(bob).street

    def test_can_be_read_without_a_key_for_what_is_not_personal(self, settings):
        bob = world.bob()
        settings.PERSONAL_DATA_KEYS = ["11" * 32]
        assert queries.standing(bob).status == Application.Status.IN_REVIEW

    def test_cannot_be_compared_or_updated_in_bulk(self):
        with pytest.raises(TypeError, match="encrypted"):
            Application.objects.filter(street="12 rue des Lilas").exists()
        with pytest.raises((TypeError, FieldError), match="encrypted"):
            Application.objects.update(birth_date=date(1990, 1, 1))

    def test_is_found_by_whole_words_of_names_however_they_are_written(self):
        bob = world.bob().application
        for words in ("OKAFÓR", "bob", "Okafor, Bob", " bob  okafor "):
            assert list(queries.named(words)) == [bob], words
        for words in ("Oka", "Bob Moreau", "", " - "):
            assert not queries.named(words), words

    def test_is_found_by_a_part_of_a_double_name(self):
        carol = world.carol().application
        carol.last_names = "Müller-Lüdenscheidt"
        carol.save()
        for words in ("muller", "LÜDENSCHEIDT", "Müller-Lüdenscheidt"):
            assert list(queries.named(words)) == [carol], words

    def test_is_found_by_its_index(self):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "application_by_names" in queries.named("Okafor").explain()

    def test_tells_by_its_hashes_nothing_of_another_column(self):
        bob = world.bob().application
        (index,) = Application.objects.filter(pk=bob.pk).values_list("names_index", flat=True)
        key = keys()[0]
        assert bytes(index[0]) not in {
            key.index(word, of="kyc_application.last_names") for word in ("bob", "okafor")
        }


@pytest.mark.django_db
class TestRotateKeys:
    def test_encrypts_everything_under_the_new_key(self, settings, capsys):
        bob = world.bob().application
        old = settings.PERSONAL_DATA_KEYS
        settings.PERSONAL_DATA_KEYS = ["22" * 32, *old]
        assert list(queries.named("Okafor")) == [bob]
        call_command("rotate_keys")
        assert "Encrypted: customers' personal data" in capsys.readouterr().out
        settings.PERSONAL_DATA_KEYS = ["22" * 32]
        assert again(bob).last_names == "Okafor"
        assert list(queries.named("Okafor")) == [bob]
        settings.PERSONAL_DATA_KEYS = old
        with pytest.raises(CannotDecrypt):
            _ = again(bob).last_names

    def test_stops_at_what_it_cannot_read(self, settings):
        world.bob()
        settings.PERSONAL_DATA_KEYS = ["22" * 32]
        with pytest.raises(CannotDecrypt):
            call_command("rotate_keys")
