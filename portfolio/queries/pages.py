"""Pages of the activity: what the books moved and what they did not, as one list.

Journals, what merchants asked of cards, what they gave back, and what corporate actions made of
shares are four sources in one order. A page goes on from a place in it, so that nothing is lost or
told twice, however many events share a time.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet, Value

import spending.queries
from common.money import MAX_UNITS
from portfolio.queries import activity
from portfolio.queries.activity import Item
from users.models import User

# At one moment a tap comes before what was sold for it, and before what was given back of it.
ACTION, TAP, GIVEN_BACK, JOURNAL = range(1, 5)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands: by when it happened, then by its source, then by its row."""

    at: datetime
    source: int
    row: int

    def __str__(self) -> str:
        """Write it for an address."""
        text = f"{self.at.isoformat()}_{self.source}_{self.row}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Place":
        """Read what was written.

        :raises ValueError: if it is no place
        """
        padded = text + "=" * (-len(text) % 4)
        at, source, row = urlsafe_b64decode(padded.encode()).decode().split("_")
        place = cls(datetime.fromisoformat(at), int(source), int(row))
        known = place.at.tzinfo and ACTION <= place.source <= JOURNAL
        if not known or not 0 <= place.row <= MAX_UNITS:
            raise ValueError(text)
        return place


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first; from where the next older and newer ones follow, if any do."""

    items: list[Item]
    older: Place | None
    newer: Place | None


def page_of(user: User, *, limit: int, beyond: Place | None = None, newer: bool = False) -> Page:
    """Give at most so many events of a customer's activity; the queries do not grow with them.

    :param beyond: the events that are older than this place; None are the newest
    :param newer: the events that are newer than the place, the nearest to it
    """
    found = _places(user, limit + 1, beyond, newer=newer)
    far = found[limit].at if len(found) > limit else None
    near = beyond.at if beyond else None
    since, until = (near, far) if newer else (far, near)
    actions = {
        Place(item.at, ACTION, row): item
        for row, item in activity.actions_between(user, since, until)
    }
    also = [place for place in actions if _is_beyond(place, beyond, newer=newer)]
    found = sorted([*found, *also], reverse=not newer)
    kept = sorted(found[:limit], reverse=True)
    goes_on = len(found) > limit
    return Page(
        items=_items(kept, actions, user),
        older=kept[-1] if kept and (goes_on or newer) else None,
        newer=kept[0] if kept and (goes_on if newer else beyond) else None,
    )


def _is_beyond(place: Place, beyond: Place | None, *, newer: bool) -> bool:
    return beyond is None or (place > beyond if newer else place < beyond)


def _places(user: User, limit: int, beyond: Place | None, *, newer: bool) -> list[Place]:
    """Give the nearest places beyond one, of what the database can list in order."""
    taps = spending.queries.asked_of(user)
    given_back = taps.annotate(back=F("reversed_units") + F("expired_units")).filter(
        back__gt=0, closed_at__isnull=False
    )
    sources: list[tuple[int, QuerySet[Any], str]] = [
        (JOURNAL, activity.activity_of(user), "occurred_at"),
        (GIVEN_BACK, given_back, "closed_at"),
        (TAP, taps, "requested_at"),
    ]
    sign = "" if newer else "-"
    lists = []
    for source, rows, at in sources:
        after = rows.filter(_after(source, at, beyond, newer=newer))
        ordered = after.order_by(f"{sign}{at}", f"{sign}pk")
        lists.append(ordered.values_list(F(at), Value(source), F("pk"))[:limit])
    found = lists[0].union(*lists[1:], all=True)
    return sorted(Place(*place) for place in found)[:: 1 if newer else -1][:limit]


def _after(source: int, at: str, place: Place | None, *, newer: bool) -> Q:
    """Narrow a source to what comes after a place, on the way to the older or the newer."""
    if place is None:
        return Q()
    bound = "gt" if newer else "lt"
    later = Q(**{f"{at}__{bound}": place.at})
    if source == place.source:
        return later | Q(**{at: place.at, f"pk__{bound}": place.row})
    return later | Q(**{at: place.at}) if (source > place.source) == newer else later


def _items(places: Sequence[Place], actions: dict[Place, Item], user: User) -> list[Item]:
    """Say the events of some places in words, in their order."""
    rows: dict[int, list[int]] = {source: [] for source in (TAP, GIVEN_BACK, JOURNAL)}
    for place in places:
        rows.setdefault(place.source, []).append(place.row)
    journals = list(activity.activity_of(user).filter(pk__in=rows[JOURNAL]))
    said = zip(journals, activity.items_of(journals, user), strict=True)
    taps = spending.queries.asked_by_row([*rows[TAP], *rows[GIVEN_BACK]])
    items = {(JOURNAL, journal.pk): item for journal, item in said}
    items |= {(TAP, row): activity.tap(taps[row]) for row in rows[TAP]}
    items |= {(GIVEN_BACK, row): activity.given_back(taps[row]) for row in rows[GIVEN_BACK]}
    items |= {(ACTION, place.row): item for place, item in actions.items()}
    return [items[place.source, place.row] for place in places]
