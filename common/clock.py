"""The clock, read at the edge and passed inward."""

from datetime import UTC, datetime


def now() -> datetime:
    """Read the wall clock, in UTC."""
    return datetime.now(tz=UTC)
