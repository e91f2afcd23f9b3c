"""Who you are.

A user signs in with an e-mail address and a password; there is no username. Staff are users with
`is_staff` and a group. What somebody did to somebody else's money or case is written to the audit
trail in the same transaction, and the trail is a chain of hashes that the database itself makes:
a row can't be changed or taken out without breaking every later one. Notices are what the app has
to tell a customer; they stay until read. What one member of the staff may not do alone is a
proposal, which another decides on; the database keeps the two apart and a decided row unchanged.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from common.encryption import EncryptedText
from users import presenters, rules


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a customer; the e-mail address is proven elsewhere (allauth)."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make somebody who may do everything in the admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


NUMBER_FORMATS = [
    ("en", "1,000.50"),
    ("de", "1.000,50"),
    ("ch", "1\u2019000.50"),
    ("fr", "1\u202f000,50"),
]


class User(AbstractUser):
    """A person with an e-mail address."""

    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    email = models.EmailField("e-mail", unique=True)
    # Nothing leaves the account before this: somebody changed how it is entered.
    value_held_until = models.DateTimeField(null=True, editable=False)
    # The owner took an act back; nobody signs in until the password is reset.
    locked_at = models.DateTimeField(null=True, editable=False)

    # How they write numbers, and by which clock they live; empty until a browser has told.
    number_format = models.CharField(max_length=2, choices=NUMBER_FORMATS, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    # Nobody: a customer whom the demo plays. Not told anything, and counted nowhere as a customer.
    simulated = models.BooleanField(default=False, db_default=False, editable=False)
    # Which notices also come by e-mail; those about the account and its security always do.
    mails_money = models.BooleanField(default=True)
    mails_orders = models.BooleanField(default=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    class Meta:
        permissions = [("deactivate_user", "Can shut somebody out at once")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(number_format__in=["", *dict(NUMBER_FORMATS)]),
                name="user_number_format_known",
            ),
            models.CheckConstraint(
                condition=models.Q(simulated=False) | models.Q(is_staff=False, is_superuser=False),
                name="user_simulated_is_a_customer",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """Give the e-mail address: what people are called is in their application."""
        return self.email

    def get_short_name(self) -> str:
        """Give the part of the e-mail address before the @."""
        return self.email.partition("@")[0]


class AuditEntry(models.Model):
    """Who did what to whom, when and why; `digest` covers the row and the row before."""

    at = models.DateTimeField()
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="audit_acts")
    subject = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="audit_entries"
    )
    action = models.CharField(max_length=64)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, db_default="", editable=False)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["subject", "-id"], name="audit_by_subject")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action}"


class Notice(models.Model):
    """Something a customer should know, with where to go next.

    It keeps a kind and its facts, of the time when it happened; `users.presenters` says them. What
    was told before that keeps its words as facts.
    """

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=64)
    facts = models.JSONField(default=dict)
    url = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=80, blank=True)  # of what is told once, however often asked
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-id"], name="notice_by_user")]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=~models.Q(key=""), name="notice_told_once"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def words(self) -> presenters.Words:
        """Say it."""
        if "said" in self.facts:  # by a release that kept words
            return presenters.Words(*self.facts["said"])
        return presenters.words_of(self.kind, self.facts) or presenters.Words(self.kind)

    @property
    def title(self) -> str:
        """What happened, in a line."""
        return self.words.title

    @property
    def body(self) -> str:
        """What else there is to know, or nothing."""
        return self.words.body


class SecurityEvent(models.Model):
    """Something done to how an account is entered, told to its owner, who may undo it once.

    `before` keeps what undoing needs: the address that was replaced, the second factor that was
    removed (its secret as encrypted as it was), the one that was added.
    """

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="security_events")
    kind = models.CharField(max_length=64)  # of users.rules.SECURITY_ACTS
    at = models.DateTimeField()
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    before = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(undone_at=None) | Q(undone_at__gte=F("at")),
                name="security_event_undone_afterwards",
            ),
        ]
        indexes = [models.Index(fields=["user", "-id"], name="security_event_by_user")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind}"

    @property
    def title(self) -> str:
        """Say what was done, as its mail did."""
        return rules.SECURITY_ACTS[self.kind].title


class Mail(models.Model):
    """A mail on its way, or gone.

    It is written in the transaction that has something to say, and a worker sends it. `content` is
    what is sent, its subject too: it may carry a code or a link, so it is encrypted, no page shows
    it, and it is dropped as soon as it is sent or too late to be. `about` says what kind of mail it
    is, where its sender says so. `due_at` is when a worker may take it next.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        FAILED = "failed"  # refused for good, or not sent in time

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    recipients = models.TextField()  # separated by ", "
    about = models.CharField(max_length=64, blank=True)
    content = EncryptedText(bound_to="uid")
    status = models.CharField(max_length=8, choices=Status, default=Status.QUEUED)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "mail"
        permissions = [("resend_mail", "Can send a mail again")]
        constraints = [
            models.CheckConstraint(
                name="mail_sent_is_dropped",
                condition=~models.Q(status="sent") | models.Q(content=None, sent_at__isnull=False),
            ),
            models.CheckConstraint(
                name="mail_queued_has_content",
                condition=~models.Q(status="queued") | models.Q(content__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="mail_due", condition=models.Q(status="queued")),
            models.Index(
                fields=["expires_at"], name="mail_kept", condition=~models.Q(content=None)
            ),
            models.Index(fields=["created_at"], name="mail_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.about or 'mail'} to {self.recipients}"


class Proposal(models.Model):
    """A change that one person asked for and another decides on; decided once, and kept.

    `changes` lists (what, before, after) as the proposer saw it, `version` the state of the thing
    then, `result` what the executed operation made.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed"
        EXECUTED = "executed"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"  # by who proposed it
        EXPIRED = "expired"  # nobody decided in time
        CONFLICTED = "conflicted"  # what it is about had changed at approval

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    kind = models.CharField(max_length=64)
    target = models.CharField(max_length=120)
    payload = models.JSONField()
    changes = models.JSONField()
    version = models.CharField(max_length=200)
    subject = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="proposals_about"
    )
    proposer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="proposals_made")
    reason = models.TextField()
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=Status, default=Status.PROPOSED)
    decided_by = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="proposals_decided"
    )
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    result = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "target"],
                condition=Q(status="proposed"),
                name="proposal_open_once",
            ),
            models.CheckConstraint(
                condition=Q(status="proposed", decided_at=None, decided_by=None, result="")
                | Q(status="expired", decided_at__isnull=False, decided_by=None, result="")
                | Q(status="executed", decided_at__isnull=False, decided_by__isnull=False)
                | Q(
                    status__in=["declined", "withdrawn", "conflicted"],
                    decided_at__isnull=False,
                    decided_by__isnull=False,
                    result="",
                ),
                name="proposal_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(decided_by=None)
                | (Q(status="withdrawn") & Q(decided_by=F("proposer")))
                | (~Q(status="withdrawn") & ~Q(decided_by=F("proposer"))),
                name="proposal_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(subject=None)
                | (~Q(subject=F("proposer")) & (Q(decided_by=None) | ~Q(subject=F("decided_by")))),
                name="proposal_not_about_oneself",
            ),
            models.CheckConstraint(
                condition=~Q(reason="") & ~Q(version="") & ~Q(target=""),
                name="proposal_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["-id"], condition=Q(status="proposed"), name="proposal_open")
        ]

    def __str__(self) -> str:
        return f"proposal {self.pk}: {self.target}"


class CallLimit(models.Model):
    """How often one address, or one customer, may do a kind of thing, from a date on.

    A bucket holds `capacity` calls and leaks `per_second` of them. Where nothing leaks, capacity
    bounds what there may be at one time: open sockets, and work that waits for the engine.
    """

    class Kind(models.TextChoices):
        READS = "reads"
        WRITES = "writes"
        ORDERS = "orders"  # placed, amended and cancelled, by what they cost: trading.rules
        UPLOADS = "uploads"
        WEBHOOKS = "webhooks"
        SOCKETS = "sockets"  # opened
        OPEN_SOCKETS = "open_sockets"  # at one time, in each web process
        MESSAGES = "messages"  # of one socket
        WAITING = "waiting"  # commands that the engine has not sequenced

    class Scope(models.TextChoices):
        ADDRESS = "address"
        CUSTOMER = "customer"

    kind = models.CharField(max_length=12, choices=Kind)
    scope = models.CharField(max_length=8, choices=Scope)
    since = models.DateField()
    capacity = models.PositiveIntegerField()
    per_second = models.DecimalField(max_digits=9, decimal_places=3, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "scope", "since"], name="call_limit_once"),
            models.CheckConstraint(condition=Q(capacity__gt=0), name="call_limit_lets_some_in"),
            models.CheckConstraint(
                condition=Q(kind__in=["open_sockets", "waiting"], per_second=0)
                | (~Q(kind__in=["open_sockets", "waiting"]) & Q(per_second__gt=0)),
                name="call_limit_leaks_unless_of_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.scope} from {self.since}"
