"""The tables of the plumbing: first answers, kept so that a retry gets the same one; heartbeats.

A mobile client that lost the answer sends its request again with the same `Idempotency-Key`.
The row is written in the same transaction as the effect, so there is never one without the other.
"""

from django.conf import settings
from django.db import models


class FirstAnswer(models.Model):
    """What a customer's request with this key was answered, for 24 hours."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "endpoint", "key"], name="first_answer_once_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.key}"


class Heartbeat(models.Model):
    """When a part of the platform last said that it is at work; not logged, so a crash forgets it.

    `part` is a name of `common.heartbeats`, with the shard behind a colon for an engine.
    """

    part = models.CharField(max_length=48, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.part
