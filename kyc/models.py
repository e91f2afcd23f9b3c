"""Who may do what, where, and how much.

A customer fills an *application* in; it moves draft → submitted → in review → approved → active,
or is rejected, and only an active customer may trade, deposit and spend. Each single *check* (age,
jurisdiction, agreements…) is pass, fail or indeterminate, apart from the decision, which a person
makes who is not the applicant. Where the product may not be offered is policy: dated rows that
staff edit, never a constant.

What says who somebody is (names, birth date, address, tax id) is encrypted at rest; the countries,
which policy asks for by SQL, are not.
"""

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django_countries.fields import CountryField
from uuid_utils.compat import uuid7

from common.encryption import BlindWords, EncryptedDate, EncryptedText


class Application(models.Model):
    """One customer's application to open an account."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        SUBMITTED = "submitted"
        CHECKING = "checking"
        ACTION_REQUIRED = "action_required"
        IN_REVIEW = "in_review"
        AWAITING_SECOND_APPROVAL = "awaiting_second_approval"
        REJECTED = "rejected"
        APPROVED = "approved"
        ACTIVE = "active"
        RESTRICTED = "restricted"
        FROZEN = "frozen"
        CLOSED = "closed"

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="application"
    )
    status = models.CharField(max_length=24, choices=Status, default=Status.DRAFT)
    version = models.PositiveIntegerField(
        default=1
    )  # grows with every change: a stale view conflicts
    first_names = EncryptedText(bound_to="user_id", max_length=120)
    last_names = EncryptedText(bound_to="user_id", max_length=120)
    names_index = BlindWords(of=("first_names", "last_names"))
    birth_date = EncryptedDate(bound_to="user_id")
    street = EncryptedText(bound_to="user_id", max_length=200)
    postal_code = EncryptedText(bound_to="user_id", max_length=20)
    city = EncryptedText(bound_to="user_id", max_length=100)
    residence = CountryField(blank=True)
    citizenship = CountryField(blank=True)
    tax_residence = CountryField(blank=True)
    tax_id = EncryptedText(bound_to="user_id", max_length=40)
    us_person = models.BooleanField(null=True, blank=True)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    message = models.TextField(blank=True)  # what the customer reads
    internal_note = models.TextField(blank=True)  # what only staff read

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=models.F("user")),
                name="application_not_decided_by_applicant",
            ),
        ]
        permissions = [("restrict_account", "Can restrict and freeze an account at once")]
        indexes = [
            models.Index(
                fields=["submitted_at"],
                condition=Q(status__in=["submitted", "in_review"]),
                name="application_queue",
            ),
            GinIndex(fields=["names_index"], name="application_by_names"),
        ]

    def __str__(self) -> str:
        return f"{self.first_names} {self.last_names}".strip() or str(self.uid)

    @property
    def masked_tax_id(self) -> str:
        """The tax id with all but its last three characters hidden."""
        return "•" * max(len(self.tax_id) - 3, 0) + self.tax_id[-3:] if self.tax_id else ""


class AgreementAcceptance(models.Model):
    """Which version of which agreement a customer accepted, when, and from where."""

    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, related_name="agreements"
    )
    document = models.CharField(max_length=40)
    document_version = models.CharField(max_length=20)
    accepted_at = models.DateTimeField()
    ip_address = models.GenericIPAddressField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "document", "document_version"], name="agreement_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.document} {self.document_version}"


class CheckResult(models.Model):
    """What one check found, apart from the decision."""

    class Outcome(models.TextChoices):
        PASS = "pass"  # noqa: S105
        FAIL = "fail"
        INDETERMINATE = "indeterminate"

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="checks")
    name = models.CharField(max_length=40)
    outcome = models.CharField(max_length=14, choices=Outcome)
    evidence = models.JSONField(default=dict)
    checked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"


class RestrictedPlace(models.Model):
    """A country where, or for whose citizens or residents, the product is not offered."""

    class Ground(models.TextChoices):
        RESIDENCE = "residence"
        CITIZENSHIP = "citizenship"
        TAX_RESIDENCE = "tax_residence"
        US_PERSON = "us_person"  # the person's own attestation; the country is US

    country = CountryField()
    ground = models.CharField(max_length=13, choices=Ground)
    reason = models.CharField(max_length=200)
    since = models.DateField()
    until = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["country", "ground", "since"], name="restricted_place_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country} by {self.ground}"
