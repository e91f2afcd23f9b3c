import threading

import pytest
from django.core.mail import EmailMessage
from django.db import DatabaseError, IntegrityError, connection, transaction

from common.invariants import find_breaks
from tests import world
from users import operations, queries
from users.models import AuditEntry, Mail, Notice, User


def write(action="account.frozen", **parts):
    return operations.record(
        **{"actor": None, "subject": None, "at": world.NOW, "action": action, **parts}
    )


def broken():
    return [found.check for found in find_breaks(queries.CHECKS)]


@pytest.mark.django_db
class TestRecord:
    def test_keeps_who_did_what_to_whom_and_why(self):
        sam, bob = world.sam(), world.customer("bob@demo.test")
        write(actor=sam, subject=bob, reason="He asked.", detail={"card": "1234"})
        entry = queries.audit_entries_about(bob).first()
        assert (entry.actor, entry.reason, entry.detail) == (sam, "He asked.", {"card": "1234"})

    def test_chains_each_entry_to_the_one_before(self):
        first, second = write("a.done"), write("b.done")
        first.refresh_from_db()
        second.refresh_from_db()
        assert len(first.digest) == 64
        assert first.digest != second.digest
        assert broken() == []

    def test_gives_equal_deeds_different_digests(self):
        write("a.done")
        write("a.done")
        assert len(set(AuditEntry.objects.values_list("digest", flat=True))) == 2

    def test_ignores_a_digest_that_somebody_brings_along(self):
        AuditEntry.objects.create(at=world.NOW, action="a.done", digest="f" * 64)
        assert AuditEntry.objects.get().digest != "f" * 64

    @pytest.mark.parametrize(
        "deed",
        [
            "UPDATE users_auditentry SET reason = 'another'",
            "DELETE FROM users_auditentry",
            "TRUNCATE users_auditentry",
        ],
    )
    def test_is_out_of_reach_once_written(self, deed):
        write()
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(deed)


@pytest.mark.django_db(transaction=True)
class TestRecordAtTheSameMoment:
    def test_makes_one_chain_of_eight_writers(self):
        started = threading.Barrier(8)

        def work():
            started.wait()
            for _ in range(5):
                write()
            connection.close()

        writers = [threading.Thread(target=work) for _ in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert AuditEntry.objects.count() == 40
        assert broken() == []


CARD = {"last_four": "4242", "reason": ""}
READY = "Your card ending in 4242 is ready"


@pytest.mark.django_db
class TestNotify:
    def test_is_unread_until_the_customer_reads_it(self):
        bob = world.customer("bob@demo.test")
        notice = operations.notify(user=bob, kind="card.issued", facts=CARD, now=world.NOW)
        assert list(queries.unread_notices(bob)) == [notice]
        assert operations.mark_read(user=bob, now=world.NOW) == 1
        assert not queries.unread_notices(bob).exists()

    def test_is_told_to_the_customers_sockets_after_the_commit(
        self, monkeypatch, django_capture_on_commit_callbacks
    ):
        sent = []
        monkeypatch.setattr("common.realtime.send_private", sent.extend)
        bob = world.customer("bob@demo.test")
        with django_capture_on_commit_callbacks(execute=True):
            operations.notify(user=bob, kind="card.issued", facts=CARD, now=world.NOW)
            assert sent == []
        [(user_id, channel, data)] = sent
        assert (user_id, channel, data["title"]) == (bob.pk, "notifications", READY)

    def test_answers_a_new_subscriber_with_what_is_unread(self):
        bob = world.customer("bob@demo.test")
        operations.notify(user=bob, kind="card.issued", facts=CARD, now=world.NOW)
        assert [one["title"] for one in queries.notifications_snapshot(bob)] == [READY]


@pytest.mark.django_db
class TestSimulatedCustomers:
    def test_are_told_nothing(self):
        robin = world.simulated()
        notice = operations.notify(user=robin, kind="deposit.completed", now=world.NOW)
        assert notice is None
        assert not Notice.objects.exists()

    @pytest.mark.parametrize(("also", "queued"), [([], 0), (["bob@demo.test"], 1)])
    def test_get_no_mail(self, also, queued):
        robin = world.simulated()
        message = EmailMessage("A word", "Hello", None, [robin.email, *also])
        assert operations.queue_mail(messages=[message], now=world.NOW) == queued
        assert Mail.objects.count() == queued

    def test_have_no_password(self):
        assert not world.simulated().has_usable_password()

    def test_are_made_in_a_demo_only(self, settings):
        settings.DEMO = False
        with pytest.raises(operations.SimulatedOutsideDemo) as refused:
            world.simulated()
        assert refused.value.field == "simulated"
        assert not User.objects.exists()

    def test_are_never_staff(self):
        robin = world.simulated()
        with pytest.raises(IntegrityError, match="user_simulated_is_a_customer"):
            User.objects.filter(pk=robin.pk).update(is_staff=True)
