"""The bank's daily statement: what it booked, by its own ids, between two balances.

Banks give it as ISO 20022 camt.053, an XML file a day. A file is from outside: it is bounded, and
one with a document type, by which entities would be declared, is refused before anything expands.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

from common.errors import DomainError
from common.money import USD, Amount

LARGEST_BYTES = 20_000_000
ONE_LATE_OF = 7


class StatementMalformed(DomainError):
    """The bank's statement is not what was agreed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of our account at the bank; negative where money left it."""

    external_id: str
    reference: str
    amount: Amount
    booked_on: date


@dataclass(frozen=True, slots=True)
class Statement:
    """A day at the bank."""

    day: date
    opening: Amount
    closing: Amount
    entries: list[Entry]


class StatementGateway(Protocol):
    """Who gives the bank's statements."""

    def statement(self, day: date) -> Statement | None:
        """Give a day's statement; None while there is none.

        :raises StatementMalformed: if it is not what was agreed
        """
        ...


class Folder:
    """Statements that the bank leaves in a folder, camt.053, the day in each file's name."""

    def __init__(self, path: Path, iban: str) -> None:
        """Read one account's statements from a folder."""
        self.path = path
        self.iban = iban

    def statement(self, day: date) -> Statement | None:
        """Read the file whose name has the day: `camt053-2026-12-01.xml`."""
        found = sorted(self.path.glob(f"*{day.isoformat()}*.xml"))
        return read_camt053(found[-1], day=day, iban=self.iban) if found else None


def read_camt053(path: Path, *, day: date, iban: str) -> Statement:
    """Read one statement of one account in dollars.

    :raises StatementMalformed: if it is too large, no XML, or says something else
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise StatementMalformed(f"{path.name} is larger than {LARGEST_BYTES} bytes.")
    parser = ElementTree.XMLParser(target=_NoDocumentType())  # noqa: S314 - no entity can be declared
    try:
        root = ElementTree.parse(path, parser).getroot()  # noqa: S314 - by the parser above
        statements = [one for one in root.iter() if _name(one) == "Stmt"]
        [wanted] = [one for one in statements if _text(one, "Acct", "Id", "IBAN") == _bare(iban)]
        balances = {_text(one, "Tp", "CdOrPrtry", "Cd"): one for one in _all(wanted, "Bal")}
        return Statement(
            day=day,
            opening=_amount(balances["OPBD"]),
            closing=_amount(balances["CLBD"]),
            entries=[_entry(one, day) for one in _all(wanted, "Ntry")],
        )
    except (ElementTree.ParseError, KeyError, ValueError, DomainError) as error:
        raise StatementMalformed(f"{path.name}: {error}") from error


class _NoDocumentType(ElementTree.TreeBuilder):
    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        """Refuse what could declare an entity."""
        raise ValueError("a statement has no document type")


def _entry(one: ElementTree.Element, day: date) -> Entry:
    booked = _text(one, "BookgDt", "Dt") or day.isoformat()
    details = [part for part in one.iter() if _name(part) == "Ustrd"]
    return Entry(
        external_id=(_text(one, "AcctSvcrRef") or _text(one, "NtryRef"))[:64],
        reference=" ".join(part.text or "" for part in details)[:140],
        amount=_amount(one),
        booked_on=date.fromisoformat(booked[:10]),
    )


def _amount(one: ElementTree.Element) -> Amount:
    [amount] = _all(one, "Amt")
    if amount.get("Ccy") != USD.code:
        raise ValueError(f"it counts in {amount.get('Ccy')}")
    counted = Amount.parse(amount.text or "", USD)
    return -counted if _text(one, "CdtDbtInd") == "DBIT" else counted


def _name(one: ElementTree.Element) -> str:
    return one.tag.rpartition("}")[2]  # the namespace carries the version, of which there are many


def _all(one: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in one if _name(child) == name]


def _text(one: ElementTree.Element, *path: str) -> str:
    for name in path:
        found = _all(one, name)
        if not found:
            return ""
        one = found[0]
    return (one.text or "").strip()


def _bare(iban: str) -> str:
    return iban.replace(" ", "")


class SimulatedRecord:
    """What the demo's bank booked, kept by itself, in a file of its own.

    Its statements are as bad as real ones: in no order, some entries twice, and some of a day late.
    """

    def __init__(self, path: Path) -> None:
        """Keep the record in a file."""
        self.path = path

    def book(self, entries: Iterable[Entry]) -> None:
        """Book what is not booked yet."""
        known = {one.external_id for one in self.entries()}
        fresh = [one for one in entries if one.external_id not in known]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            for one in fresh:
                facts: dict[str, Any] = asdict(one)
                facts |= {"amount": str(one.amount), "booked_on": one.booked_on.isoformat()}
                file.write(json.dumps(facts) + "\n")

    def entries(self) -> list[Entry]:
        """Read everything that was booked, oldest first."""
        if not self.path.exists():
            return []
        return [_recorded(line) for line in self.path.read_text().splitlines()]

    def statement(self, day: date) -> Statement | None:
        """Give a day's statement."""
        booked = [(one, _stated_on(one)) for one in self.entries()]
        before = sum((one.amount.units for one, on in booked if on < day), 0)
        entries = [one for one, on in booked if on == day]
        closing = before + sum(one.amount.units for one in entries)
        return Statement(
            day, Amount(before, USD), Amount(closing, USD), [*reversed(entries), *entries[:1]]
        )


def _recorded(line: str) -> Entry:
    facts = json.loads(line)
    return Entry(
        facts["external_id"],
        facts["reference"],
        Amount.parse(Decimal(facts["amount"]), USD),
        date.fromisoformat(facts["booked_on"]),
    )


def _stated_on(one: Entry) -> date:
    late = zlib.crc32(one.external_id.encode()) % ONE_LATE_OF == 0
    return one.booked_on + timedelta(days=1 if late else 0)
