"""The first of the staff, made at the server's terminal."""

import io
import re
import sys
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from tests import world
from users.models import AuditEntry, User

GOOD = "a-long-enough-word"


def create_staff(*words, email="ida@krakapp.test"):
    call_command("create_staff", "--email", email, *words)
    return User.objects.get(email=email.lower())


@pytest.mark.django_db
class TestCreateStaff:
    def test_gives_a_role_and_nothing_more(self, capsys):
        ida = create_staff("--role", "Compliance", email="Ida@Krakapp.test")
        assert (ida.is_staff, ida.is_superuser) == (True, False)
        assert [group.name for group in ida.groups.all()] == ["Compliance"]
        assert EmailAddress.objects.get(user=ida).verified
        assert "ida@krakapp.test is Compliance now." in capsys.readouterr().out

    def test_leads_to_a_password_by_a_link_that_works_once(self, client, capsys):
        ida = create_staff("--role", "Support")
        assert not ida.has_usable_password()
        link = re.search(r"^http://127\.0\.0\.1:8000(/\S+)$", capsys.readouterr().out, re.MULTILINE)
        page = client.get(link[1], follow=True)
        form = urlsplit(page.redirect_chain[-1][0]).path
        client.post(form, {"password1": GOOD, "password2": GOOD})
        ida.refresh_from_db()
        assert ida.check_password(GOOD)
        again = client.get(link[1], follow=True).content.decode()
        assert 'name="password1"' not in again

    def test_takes_a_password_from_the_input_and_prints_no_link(self, capsys, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{GOOD}\n"))
        assert create_staff("--role", "Support", "--password").check_password(GOOD)
        assert "http" not in capsys.readouterr().out

    def test_makes_a_superuser_who_can_sign_in(self):
        ida = create_staff("--superuser")
        assert (ida.is_staff, ida.is_superuser, ida.groups.count()) == (True, True, 0)
        assert EmailAddress.objects.filter(user=ida, verified=True, primary=True).exists()

    def test_is_written_to_the_trail(self, monkeypatch):
        monkeypatch.setenv("SUDO_USER", "rosa")
        ida = create_staff("--role", "Treasury")
        entry = AuditEntry.objects.get(action="staff.created", subject=ida)
        assert (entry.actor, entry.detail) == (None, {"role": "Treasury"})
        assert entry.reason == "by rosa, at the server's terminal"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--email", "ida", "--role", "Support"], "valid email address"),
            (["--email", "alice@demo.test", "--role", "Support"], "Somebody has that e-mail"),
            (["--email", "i@x.test", "--role", "King"], "invalid choice: 'King'"),
            (["--email", "i@x.test"], "one of the arguments --role --superuser is required"),
            (["--email", "i@x.test", "--role", "Support", "--password"], "too short"),
        ],
    )
    def test_says_what_will_not_do(self, words, said, monkeypatch):
        world.customer("alice@demo.test")
        monkeypatch.setattr(sys, "stdin", io.StringIO("tiny\n"))
        with pytest.raises(CommandError, match=said):
            call_command("create_staff", *words)
        assert not User.objects.filter(is_staff=True).exists()
