"""The queue of mail: written with what it tells of, sent once, and read by nobody on the way."""

import re
import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives, send_mail
from django.db import IntegrityError, connection, transaction

from common import clock
from tests import world
from tests.users import post
from users import gateways, operations, rules, tasks
from users.models import AuditEntry, Mail

CODE = "H7K2P9"


@pytest.fixture(autouse=True)
def _outbox(settings):
    """Queue what is sent, as the platform does, and send it by SMTP to a port where nobody is."""
    settings.EMAIL_BACKEND = "users.adapters.Outbox"
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = "127.0.0.1", 5
    with post.Server(("127.0.0.1", 0), post.Session) as probe:
        settings.EMAIL_PORT = probe.server_address[1]


def mail_somebody(text=f"Your code is {CODE}", to="dana@demo.test"):
    send_mail(f"{CODE} is your code", text, None, [to])
    return Mail.objects.latest("id")


def later(mail, **how):
    return mail.created_at + timedelta(**how)


@pytest.mark.django_db
class TestAMail:
    def test_is_queued_in_the_transaction_that_has_something_to_say(self):
        with transaction.atomic():
            assert mail_somebody()
            transaction.set_rollback(True)
        assert not Mail.objects.exists()

    def test_arrives_as_it_was_written(self, settings):
        message = EmailMultiAlternatives(
            "Grüße", "plain", "Kräkapp <hello@krakapp.test>", ["dana@demo.test"], bcc=["log@x.test"]
        )
        message.attach_alternative("<p>rich</p>", "text/html")
        message.send()
        with post.office(settings.EMAIL_PORT) as office:
            tasks.send_mail()
        (taken,) = office.taken
        assert taken["Subject"] == "Grüße"
        assert taken["To"] == "dana@demo.test"
        assert taken["Bcc"] is None
        assert taken["Message-ID"].endswith("@krakapp.test>")
        assert taken.get_body(("plain",)).get_content().strip() == "plain"
        assert taken.get_body(("html",)).get_content().strip() == "<p>rich</p>"

    def test_keeps_its_code_from_whoever_reads_the_database(self):
        mail = mail_somebody()
        with connection.cursor() as cursor:
            cursor.execute("SELECT users_mail::text, content FROM users_mail")
            row, content = cursor.fetchone()
        assert CODE not in row
        assert CODE.encode() not in bytes(content)
        assert CODE in mail.content

    def test_loses_its_text_when_it_is_sent(self, settings):
        mail = mail_somebody()
        with post.office(settings.EMAIL_PORT):
            assert tasks.send_mail() == 1
        mail.refresh_from_db()
        assert (mail.status, mail.content, mail.attempts) == ("sent", "", 1)
        assert mail.sent_at

    def test_cannot_be_sent_and_still_be_there(self):
        mail = mail_somebody()
        with pytest.raises(IntegrityError, match="mail_sent_is_dropped"):
            Mail.objects.filter(pk=mail.pk).update(status="sent", sent_at=clock.now())

    def test_to_nobody_is_not_queued(self):
        assert EmailMultiAlternatives("Hello", "there", None, []).send() == 0
        assert not Mail.objects.exists()


@pytest.mark.django_db
class TestAServerThatIsAway:
    def test_keeps_nobody_from_signing_up_by_page(self, client, settings):
        wish = {"email": "dana@demo.test", "password1": "a-long-enough-word"}
        answer = client.post("/accounts/signup/", wish)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
        self.followed_when_it_is_back(settings, "dana@demo.test")

    def test_keeps_nobody_from_signing_up_by_program(self, client, settings):
        wish = {"email": "dana@demo.test", "password": "a-long-enough-word"}
        answer = client.post("/_allauth/app/v1/auth/signup", wish, content_type="application/json")
        assert answer.status_code == 401  # the code is to be confirmed
        assert answer["Content-Type"].startswith("application/json")
        self.followed_when_it_is_back(settings, "dana@demo.test")

    def followed_when_it_is_back(self, settings, address):
        assert tasks.send_mail() == 0
        mail = Mail.objects.get()
        assert (mail.status, mail.recipients) == ("queued", address)
        assert mail.about.startswith("email confirmation")
        assert "Connection refused" in mail.last_error
        with post.office(settings.EMAIL_PORT) as office:
            assert not operations.send_next_mail(now=clock.now())  # its pause is not over
            assert operations.send_next_mail(now=later(mail, minutes=1))
        assert [taken["To"] for taken in office.taken] == [address]

    def test_is_asked_for_one_mail_and_not_for_each(self, monkeypatch):
        asked = []
        send = gateways.DjangoPostOffice.send
        monkeypatch.setattr(
            gateways.DjangoPostOffice, "send", lambda self, m: (asked.append(m), send(self, m))
        )
        for _ in range(3):
            mail_somebody()
        assert tasks.send_mail() == 0
        assert tasks.send_mail() == 0
        assert len(asked) == 1

    def test_is_asked_less_and_less_often(self):
        pauses = [rules.mail_pause(attempts).total_seconds() for attempts in (1, 2, 3, 4, 30)]
        assert pauses == [10, 30, 90, 270, 3600]


@pytest.mark.django_db
class TestAServerThatRefuses:
    def test_for_good_is_not_asked_again_until_staff_say_so(self, settings):
        mail = mail_somebody()
        with post.office(settings.EMAIL_PORT) as office:
            office.refuses = "550 no such user"
            assert operations.send_next_mail(now=clock.now())
            mail.refresh_from_db()
            assert (mail.status, "no such user" in mail.last_error) == ("failed", True)
            assert not operations.send_next_mail(now=later(mail, hours=2))
            office.refuses = ""
            operations.send_again(mail=mail, actor=world.sam(), now=later(mail, hours=2))
            assert operations.send_next_mail(now=later(mail, hours=2))
        assert len(office.taken) == 1
        assert AuditEntry.objects.filter(action="mail.queued_again", actor=world.sam()).exists()

    def test_for_now_is_asked_again(self, settings):
        mail = mail_somebody()
        with post.office(settings.EMAIL_PORT) as office:
            office.refuses = "451 come back later"
            assert operations.send_next_mail(now=clock.now())
            mail.refresh_from_db()
            assert (mail.status, mail.attempts) == ("queued", 1)
            office.refuses = ""
            assert operations.send_next_mail(now=later(mail, minutes=1))
        assert len(office.taken) == 1


@pytest.mark.django_db
class TestTwoWorkers:
    def test_never_send_the_same_mail(self, settings):
        mail = mail_somebody()
        claimed = operations.mail._claim(clock.now())
        assert claimed == mail
        assert operations.mail._claim(clock.now()) is None
        # The first one was killed: its claim ends, and its late word counts no more.
        second = operations.mail._claim(later(mail, minutes=6))
        assert second == mail
        assert operations.mail._still(claimed).update(status="failed") == 0
        assert operations.mail._still(second).exists()

    @pytest.mark.django_db(transaction=True)
    def test_at_the_same_time_share_the_queue(self, settings):
        for number in range(12):
            mail_somebody(to=f"{number}@demo.test")

        def work():
            tasks.send_mail()
            connection.close()

        with post.office(settings.EMAIL_PORT) as office:
            workers = [threading.Thread(target=work) for _ in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        assert sorted(taken["To"] for taken in office.taken) == sorted(
            f"{number}@demo.test" for number in range(12)
        )


@pytest.mark.django_db
class TestOldMail:
    def test_is_given_up_and_dropped(self):
        mail = mail_somebody()
        now = later(mail, hours=73)
        assert not operations.send_next_mail(now=now)
        operations.let_mail_go(now=now)
        mail.refresh_from_db()
        assert (mail.status, mail.content) == ("failed", "")
        assert mail.last_error == "It could not be sent in time."
        with pytest.raises(operations.MailGone):
            operations.send_again(mail=mail, actor=world.sam(), now=now)

    def test_that_failed_is_dropped_too(self):
        mail = mail_somebody()
        Mail.objects.update(status="failed", last_error="550")
        operations.let_mail_go(now=later(mail, hours=73))
        mail.refresh_from_db()
        assert (mail.content, mail.last_error) == ("", "550")

    def test_is_forgotten_after_a_while_but_not_what_waits(self):
        mail = mail_somebody()
        operations.let_mail_go(now=later(mail, hours=71))
        assert Mail.objects.count() == 1
        assert operations.let_mail_go(now=later(mail, days=91)) == 1


@pytest.mark.django_db
class TestTheQueueInTheAdmin:
    @pytest.fixture
    def mail(self, client):
        client.force_login(world.sam())
        mail = mail_somebody()
        Mail.objects.update(status="failed", last_error="550 no such user")
        return mail

    def test_shows_what_waits_and_why_but_no_code(self, client, mail):
        page = client.get("/admin/users/mail/").content.decode()
        assert re.search("dana@demo.test.*550 no such user", page, re.DOTALL)
        shown = client.get(f"/admin/users/mail/{mail.pk}/change/").content.decode()
        assert "dana@demo.test" in shown
        assert CODE not in page + shown

    def test_sends_again(self, client, mail):
        wish = {"action": "send_again", "_selected_action": [mail.pk]}
        page = client.post("/admin/users/mail/", wish, follow=True).content.decode()
        assert "is queued" in page
        mail.refresh_from_db()
        assert mail.status == "queued"
        page = client.post("/admin/users/mail/", wish, follow=True).content.decode()
        assert "be sent again" in page

    def test_offers_that_only_to_who_may(self, client, mail):
        client.force_login(world.olivia())
        assert not world.olivia().has_perm("users.resend_mail")
        wish = {"action": "send_again", "_selected_action": [mail.pk]}
        client.post("/admin/users/mail/", wish)
        mail.refresh_from_db()
        assert mail.status == "failed"

    @pytest.mark.parametrize("page", ["add/", "{}/delete/"])
    def test_is_changed_by_nobody(self, client, mail, page):
        assert client.get(f"/admin/users/mail/{page.format(mail.pk)}").status_code == 403
