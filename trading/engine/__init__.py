"""The matching engine: price-time priority over integers, in memory, deterministic.

`Engine(state)` is built from what the database holds; `engine.apply(sequence, at, kind, payload)`
carries out one command of the log and says what changed (`read` and `engine.execute` do the same in
two steps). The same commands from the same state
make the same trades and books, queue positions included. Times are microseconds since the epoch,
prices ticks, quantities base units, money USD units of 10^-6.

Commands, whose payloads are the records of `commands` (of `place`, the terms of an `OrderState`):
place, cancel, cancel_all, cancel_all_after, amend, quote, confirm, instrument, state, band, hours,
mark, multiplier, clock.
"""

import functools
import hashlib
from pathlib import Path

from trading.engine.commands import read
from trading.engine.core import Engine
from trading.engine.state import (
    BookView,
    Fill,
    Freed,
    InstrumentState,
    OrderState,
    Outcome,
    ParticipantState,
    ShardState,
)

__all__ = [
    "BookView",
    "Engine",
    "Fill",
    "Freed",
    "InstrumentState",
    "OrderState",
    "Outcome",
    "ParticipantState",
    "ShardState",
    "read",
    "version",
]


@functools.cache
def version() -> str:
    """Name this code: a digest of its sources, for another engine may match otherwise."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
