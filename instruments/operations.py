"""The one writer of what may be traded."""

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction

import ledger.operations
from common import clock
from instruments import rules
from instruments.models import CorporateAction, Instrument
from instruments.signals import multiplier_changed

LIST = Path(__file__).with_name("xstocks.csv")
ALIASES = Path(__file__).with_name("aliases.csv")
SHARE_SCALE = 8
USD_SCALE = 6
DESCRIPTION = (
    "underlying",
    "name",
    "type",
    "isin",
    "underlying_isin",
    "solana_mint",
    "evm_address",
    "evm_chains",
    "hours",
    "names",
)


@transaction.atomic
def load_instruments(*, path: Path = LIST) -> int:
    """List every instrument of a CSV file, its asset and the dollar it trades against.

    Safe to repeat: descriptions follow the file, while the multiplier, the trading rules and
    whether it is listed stay as they are, because operations of this platform change them.

    :param path: columns symbol, underlying, name, type, isin, underlying_isin, solana_mint,
        evm_address, evm_chains (apart by spaces), kraken_pro_24_7 (1 trades at any hour),
        demo_price_usd (where the simulated feed starts: not a quote)
    :return: how many instruments the file names
    """
    with ALIASES.open(newline="", encoding="utf-8") as lines:
        aliases = {line["symbol"]: line["aliases"].split(";") for line in csv.DictReader(lines)}
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(_read(csv.DictReader(lines)))
    for row in rows:
        known = [row["symbol"], row["underlying"], row["name"], *aliases.get(row["symbol"], ())]
        row["names"] = list(dict.fromkeys(rules.as_sought(name) for name in known))
    assets = [("USD", USD_SCALE, "fiat"), *((row["symbol"], SHARE_SCALE, "token") for row in rows)]
    ids = ledger.operations.register_assets(assets=assets)
    Instrument.objects.bulk_create(
        [Instrument(asset_id=ids[row["symbol"]], **row) for row in rows],
        update_conflicts=True,
        unique_fields=["symbol"],
        update_fields=DESCRIPTION,
    )
    return len(rows)


def set_multipliers(*, multipliers: dict[int, Decimal]) -> None:
    """Set what base units stand for, by instrument id; the caller's transaction makes it so."""
    before = Instrument.objects.filter(pk__in=multipliers).values_list("pk", "multiplier")
    for instrument_id, old in sorted(before):
        new = multipliers[instrument_id]
        action = _ordered(instrument_id, new)
        Instrument.objects.filter(pk=instrument_id).update(multiplier=new)
        multiplier_changed.send(
            sender=Instrument,
            instrument_id=instrument_id,
            before=old,
            after=new,
            splits=action is None or action.kind != CorporateAction.Kind.DIVIDEND,
            at=action.ordered_at if action else clock.now(),
        )


def _ordered(instrument_id: int, multiplier: Decimal) -> CorporateAction | None:
    """Find the corporate action that ordered the multiplier: what is past counts by its time."""
    return CorporateAction.objects.filter(
        instrument=instrument_id,
        status=CorporateAction.Status.ORDERED,
        multiplier_after=multiplier,
    ).first()


def _read(lines: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        always = line.pop("kraken_pro_24_7") == "1"
        yield {
            **{name: value.strip() for name, value in line.items() if name != "demo_price_usd"},
            "hours": Instrument.Hours.ALWAYS if always else Instrument.Hours.WEEKDAYS,
            "demo_price": Decimal(line["demo_price_usd"]),
        }
