"""The only writers of the books: open_accounts, post, hold, increase, release, claim, reverse.

Each takes lists and writes them set-based. The order inside is always the same: lock the union of
the accounts, ids ascending, then journals, then hold entries, then transfers. Amounts are units of
the account's asset. What a customer may cause, the tables' own constraints refuse by name; what
only a bug can cause (an amount that is not positive, an unknown account) is no DomainError.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DataError, IntegrityError, transaction
from psycopg.errors import NumericValueOutOfRange

from common import clock, database, realtime
from common.errors import DomainError
from ledger import queries
from ledger.models import Account, Asset, Claim, Hold, Journal, Transfer


class InsufficientFunds(DomainError):
    """There is not enough available for this; add funds or choose a smaller amount."""


class HoldExceeded(DomainError):
    """More was taken from a hold than it still has."""

    status = 409


class ClaimExceeded(DomainError):
    """More was paid or waived than is owed."""

    status = 409


class Uncountable(DomainError):
    """That is more than can be counted here."""


class AlreadyReversed(DomainError):
    """This journal was reversed before."""

    status = 409


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Which account: its owner (none is the house), its asset, its role."""

    owner_id: int | None
    asset_id: int
    role: str


@dataclass(frozen=True, slots=True)
class Leg:
    """So many units from the debited to the credited account."""

    debit: int
    credit: int
    amount: int


@dataclass(frozen=True, slots=True)
class Capture:
    """So many units taken from a hold, because a leg of the same entry moves them."""

    hold: int
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One event for the books: a journal with its transfers and what they capture."""

    key: str
    kind: str
    legs: Sequence[Leg]
    captures: Sequence[Capture] = ()
    reverses: int | None = None


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """So many units of an account to set aside."""

    account: int
    amount: int
    purpose: str


class _Posting(transaction.Atomic):
    """A transaction (or savepoint) that names what a constraint refused."""

    ERRORS = {
        "account_covers_holds": InsufficientFunds,
        "hold_not_negative": HoldExceeded,
        "claim_not_negative": ClaimExceeded,
        "ledger_journal_reverses_id_key": AlreadyReversed,
    }

    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        super().__exit__(kind, error, traceback)
        if isinstance(error, DataError) and isinstance(error.__cause__, NumericValueOutOfRange):
            raise Uncountable from error  # of a balance, or of an amount
        if isinstance(error, IntegrityError):
            diagnosis = getattr(error.__cause__, "diag", None)
            refusal = self.ERRORS.get(getattr(diagnosis, "constraint_name", None) or "")
            if refusal:
                raise refusal from error


_posting = _Posting()


def register_assets(*, assets: Sequence[tuple[str, int, str]]) -> dict[str, int]:
    """Make sure that these can be counted; give the id of each code.

    :param assets: code, scale and kind (`Asset.Kind`) of each; a known code stays as it is
    """
    Asset.objects.bulk_create(
        [Asset(code=code, scale=scale, kind=kind) for code, scale, kind in assets],
        ignore_conflicts=True,
    )
    codes = [code for code, _, _ in assets]
    return dict(Asset.objects.filter(code__in=codes).values_list("code", "id"))


def open_accounts(*, keys: Sequence[AccountKey]) -> list[int]:
    """Find or open accounts; the ids come in the order of the keys."""
    found = _find_accounts(keys) if keys else {}
    missing = [key for key in dict.fromkeys(keys) if key not in found]
    if missing:
        # In one order, or two who open the same accounts would wait for each other.
        missing.sort(key=lambda key: (key.owner_id or 0, key.asset_id, key.role))
        database.prepared(
            """
            INSERT INTO ledger_account (owner_id, asset_id, role)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[])
            ON CONFLICT DO NOTHING
            """,
            _columns((key.owner_id, key.asset_id, key.role) for key in missing),
        )
        found |= _find_accounts(missing)
    return [found[key] for key in keys]


def lock_accounts(*, account_ids: Iterable[int]) -> dict[int, queries.Balance]:
    """Lock accounts, ids ascending, until the caller's transaction ends; give true balances.

    :raises Account.DoesNotExist: for an id that is no account's
    """
    ids = sorted(set(account_ids))
    rows = database.prepared(
        "SELECT id, owner_id, asset_id, posted, held, overdraft"
        " FROM ledger_lock_accounts(%s::bigint[])",
        [ids],
    )
    found = {row[0]: queries.Balance(*row) for row in rows}
    if len(found) < len(ids):
        raise Account.DoesNotExist(f"no account {sorted(set(ids) - set(found))}")
    return found


def lock_own_accounts(*, owner: AbstractBaseUser, codes: Sequence[str]) -> list[queries.Balance]:
    """Lock a customer's accounts of some assets, ids ascending; those they lack are opened.

    :param codes: of the assets
    :returns: true balances, in the order of the codes
    """
    found = _lock_own_accounts(owner, codes)
    missing = [code for code in codes if code not in found]
    if missing:
        assets = Asset.objects.filter(code__in=missing).values_list("id", flat=True)
        open_accounts(keys=[AccountKey(owner.pk, asset_id, "customer") for asset_id in assets])
        found = _lock_own_accounts(owner, codes)
    return [found[code] for code in codes]


@_posting
def post(
    *, entries: Sequence[Entry], occurred_at: datetime, actor: AbstractBaseUser | None = None
) -> list[int]:
    """Post events, each once: an entry whose key is in the books already changes nothing.

    Of two entries of one key in the same call, the first is posted.

    :returns: journal ids in the order of the entries
    :raises InsufficientFunds: if an account would go below what it holds
    :raises HoldExceeded: if a hold has less than is captured
    :raises ValueError: if an entry has no legs, or captures more than its legs debit
    """
    if not entries:
        return []
    captured = {capture.hold for entry in entries for capture in entry.captures}
    holds = _hold_accounts(captured) if captured else {}
    _check(entries, holds)
    touched = {account for e in entries for leg in e.legs for account in (leg.debit, leg.credit)}
    locked = lock_accounts(account_ids=touched)
    first = {entry.key: entry for entry in reversed(entries)}
    fresh = _insert_journals(entries, occurred_at, actor)
    new_entries = [first[key] for key in fresh]
    _insert_captures(new_entries, fresh, holds)
    _insert_transfers(new_entries, fresh, locked)
    _announce(touched)
    known = fresh if len(fresh) == len(first) else _journals(first)
    return [known[entry.key] for entry in entries]


@_posting
def hold(*, requests: Sequence[HoldRequest]) -> list[int]:
    """Set parts of accounts aside, all or none.

    :returns: hold ids in the order of the requests
    :raises InsufficientFunds: if an account has less available than is asked of it
    """
    if requests:
        lock_accounts(account_ids={request.account for request in requests})
    return hold_covered(requests=requests)


def hold_covered(*, requests: Sequence[HoldRequest]) -> list[int]:
    """Do as `hold`, for who has locked the accounts and found that they cover it.

    One statement, and no savepoint: a refusal, which would be a bug, ends the transaction.

    :returns: hold ids in the order of the requests
    """
    _require_positive(request.amount for request in requests)
    if not requests:
        return []
    rows = database.prepared(
        """
            WITH asked AS (
                SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) WITH ORDINALITY
                    AS r(account_id, amount, purpose, place)
            ), opened AS (
                INSERT INTO ledger_hold (account_id, purpose)
                SELECT account_id, purpose FROM asked ORDER BY place
                RETURNING id
            ), numbered AS (
                SELECT id, row_number() OVER (ORDER BY id) AS place FROM opened
            )
            INSERT INTO ledger_holdentry (hold_id, account_id, delta)
            SELECT id, account_id, amount FROM numbered JOIN asked USING (place)
            RETURNING hold_id
            """,
        _columns((request.account, request.amount, request.purpose) for request in requests),
    )
    holds = sorted(row[0] for row in rows)  # identities grow in ORDER BY order
    _announce({request.account for request in requests})
    return holds


def open_holds(*, wanted: Sequence[tuple[int, str]]) -> list[int]:
    """Open empty holds, given as (account id, purpose), to be filled by `increase`.

    :returns: hold ids in the order given
    """
    rows = database.prepared(
        """
        INSERT INTO ledger_hold (account_id, purpose)
        SELECT account_id, purpose
        FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS r(account_id, purpose, place)
        ORDER BY place
        RETURNING id
        """,
        _columns(wanted),
    )
    return sorted(row[0] for row in rows)  # identities grow in ORDER BY order


@_posting
def increase(*, increases: Sequence[tuple[int, int]]) -> list[int]:
    """Set more aside under existing holds, given as (hold id, units), all or none.

    :returns: hold entry ids in the order given
    :raises InsufficientFunds: if an account has less available than is asked of it
    """
    _require_positive(amount for _, amount in increases)
    return _change_holds(increases)


@_posting
def release(*, releases: Sequence[tuple[int, int]]) -> list[int]:
    """Give parts of holds back, given as (hold id, units), all or none.

    :returns: hold entry ids in the order given
    :raises HoldExceeded: if a hold has less than is given back
    """
    _require_positive(amount for _, amount in releases)
    return _change_holds([(hold_id, -amount) for hold_id, amount in releases])


@_posting
def claim(*, account_id: int, units: int, purpose: str) -> None:
    """Let an account owe so many units more; what is available there is set aside for it at once.

    From now on so is whatever becomes available, in the statement that posts or releases it.

    :param purpose: of the hold that collects it; the account's first claim names it
    """
    _require_positive([units])
    lock_accounts(account_ids=[account_id])
    if not Claim.objects.filter(account_id=account_id).exists():
        (hold_id,) = open_holds(wanted=[(account_id, purpose)])
        database.prepared(
            "INSERT INTO ledger_claim (account_id, hold_id) VALUES (%s, %s)", [account_id, hold_id]
        )
    _change_claim(account_id, units)


@_posting
def reduce_claim(*, account_id: int, units: int) -> None:
    """Let an account owe so many units less, since they are paid in this transaction, or waived.

    What was set aside beyond what is left of it is given back.

    :raises ClaimExceeded: if it owes less
    :raises Claim.DoesNotExist: if it never owed anything
    """
    _require_positive([units])
    lock_accounts(account_ids=[account_id])
    _change_claim(account_id, -units)
    left = Claim.objects.select_related("hold").get(account_id=account_id)
    if (excess := left.hold.remaining - left.owed) > 0:
        release(releases=[(left.hold_id, excess)])


def let_claims_wait() -> None:
    """Let what becomes available in this transaction serve what it is raised for before claims.

    It ends with `take_claims`, or with the transaction.
    """
    database.prepared("SELECT set_config('krakapp.claims_wait', 'on', true)", [])


def take_claims(*, account_ids: Sequence[int]) -> None:
    """Set aside what is available in accounts for what they owe, and let claims wait no more."""
    database.prepared("SELECT set_config('krakapp.claims_wait', 'off', true)", [])
    database.prepared("SELECT ledger_take_claims(%s::bigint[])", [list(account_ids)])
    _announce(account_ids)


@transaction.atomic
def reverse(
    *, journal_id: int, key: str, kind: str, occurred_at: datetime, actor: AbstractBaseUser | None
) -> int:
    """Correct a journal by its mirror image; holds stay as they are.

    :param kind: the reversal's own: the caller's rows have to explain it like any other journal

    :returns: the reversing journal's id; the same key again gives the same one
    :raises AlreadyReversed: if another journal reversed it before
    :raises InsufficientFunds: if who got the money no longer has it
    """
    original = Journal.objects.get(pk=journal_id)
    legs = [
        Leg(debit=transfer.credit_id, credit=transfer.debit_id, amount=transfer.amount)
        for transfer in Transfer.objects.filter(journal=original).order_by("id")
    ]
    entry = Entry(key=key, kind=kind, legs=legs, reverses=original.pk)
    return post(entries=[entry], occurred_at=occurred_at, actor=actor)[0]


def _check(entries: Sequence[Entry], holds: dict[int, int]) -> None:
    """Refuse what no caller can mean: an empty journal, a capture that its own legs don't pay."""
    for entry in entries:
        if not entry.legs:
            raise ValueError(f"journal {entry.key} moves nothing")
        _require_positive([leg.amount for leg in entry.legs])
        _require_positive([capture.amount for capture in entry.captures])
        unpaid: Counter[int] = Counter()
        for capture in entry.captures:
            unpaid[holds[capture.hold]] += capture.amount
        if unpaid:
            for leg in entry.legs:
                unpaid[leg.debit] -= leg.amount
        if any(amount > 0 for amount in unpaid.values()):
            raise ValueError(f"journal {entry.key} captures more than it debits")


def _require_positive(amounts: Iterable[int]) -> None:
    if not all(amount > 0 for amount in amounts):
        raise ValueError("amounts in the books are positive")


def _change_holds(changes: Sequence[tuple[int, int]]) -> list[int]:
    if not changes:
        return []
    holds = _hold_accounts(hold_id for hold_id, _ in changes)
    lock_accounts(account_ids=holds.values())
    ids = _insert_hold_entries([(hold_id, holds[hold_id], delta) for hold_id, delta in changes])
    _announce(holds.values())
    return ids


def _change_claim(account_id: int, delta: int) -> None:
    database.prepared(
        """
        INSERT INTO ledger_claimentry (claim_id, delta)
        SELECT id, %s FROM ledger_claim WHERE account_id = %s
        """,
        [delta, account_id],
    )
    _announce([account_id])


def _find_accounts(keys: Sequence[AccountKey]) -> dict[AccountKey, int]:
    rows = database.prepared(
        """
        SELECT a.owner_id, a.asset_id, a.role, a.id
        FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS k(owner_id, asset_id, role)
        JOIN ledger_account a ON a.owner_id IS NOT DISTINCT FROM k.owner_id
            AND a.asset_id = k.asset_id AND a.role = k.role
        """,
        _columns((key.owner_id, key.asset_id, key.role) for key in keys),
    )
    return {AccountKey(*row[:3]): row[3] for row in rows}


def _lock_own_accounts(owner: AbstractBaseUser, codes: Sequence[str]) -> dict[str, queries.Balance]:
    rows = database.prepared(
        """
            SELECT s.code, b.id, b.owner_id, b.asset_id, b.posted, b.held, b.overdraft
            FROM ledger_lock_accounts(ARRAY(
                SELECT a.id FROM ledger_account a JOIN ledger_asset s ON s.id = a.asset_id
                WHERE a.owner_id = %s AND a.role = 'customer' AND s.code = ANY (%s)
            )) AS b JOIN ledger_asset s ON s.id = b.asset_id
            """,
        [owner.pk, list(codes)],
    )
    return {row[0]: queries.Balance(*row[1:]) for row in rows}


def _hold_accounts(hold_ids: Iterable[int]) -> dict[int, int]:
    ids = set(hold_ids)
    query = "SELECT id, account_id FROM ledger_hold WHERE id = ANY (%s::bigint[])"
    found: dict[int, int] = dict(database.prepared(query, [list(ids)]))
    if len(found) < len(ids):
        raise Hold.DoesNotExist(f"no hold {sorted(ids - set(found))}")
    return found


def _journals(keys: Iterable[str]) -> dict[str, int]:
    return dict(Journal.objects.filter(key__in=keys).values_list("key", "id"))


def _insert_journals(
    entries: Sequence[Entry], occurred_at: datetime, actor: AbstractBaseUser | None
) -> dict[str, int]:
    """Insert the journals whose key is new, and give their ids."""
    rows = database.prepared(
        """
        INSERT INTO ledger_journal (uid, key, kind, reverses_id, actor_id, occurred_at)
        SELECT uuidv7(), key, kind, reverses_id, %s::bigint, %s::timestamptz
        FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS e(key, kind, reverses_id)
        ON CONFLICT (key) DO NOTHING
        RETURNING key, id
        """,
        [
            actor.pk if actor else None,
            occurred_at,
            *_columns((entry.key, entry.kind, entry.reverses) for entry in entries),
        ],
    )
    return dict(rows)


def _insert_captures(
    entries: Sequence[Entry], journals: dict[str, int], holds: dict[int, int]
) -> None:
    rows = [
        (capture.hold, holds[capture.hold], -capture.amount, journals[entry.key])
        for entry in entries
        for capture in entry.captures
    ]
    if rows:
        database.prepared(
            """
            INSERT INTO ledger_holdentry (hold_id, account_id, delta, journal_id)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            """,
            _columns(rows),
        )


def _insert_hold_entries(rows: Sequence[tuple[int, int, int]]) -> list[int]:
    """Insert (hold, account, delta) rows without a journal; give ids in order."""
    inserted = database.prepared(
        """
        INSERT INTO ledger_holdentry (hold_id, account_id, delta)
        SELECT hold_id, account_id, delta
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
            WITH ORDINALITY AS e(hold_id, account_id, delta, place)
        ORDER BY place
        RETURNING id
        """,
        _columns(rows),
    )
    return sorted(row[0] for row in inserted)


def _insert_transfers(
    entries: Sequence[Entry], journals: dict[str, int], accounts: dict[int, queries.Balance]
) -> None:
    """Insert every leg in one statement, in order; the asset is the debited account's."""
    rows = [
        (journals[entry.key], accounts[leg.debit].asset_id, leg.debit, leg.credit, leg.amount)
        for entry in entries
        for leg in entry.legs
    ]
    if rows:
        database.prepared(
            """
            INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)
            SELECT * FROM unnest(
                %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            """,
            _columns(rows),
        )


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into columns, as unnest wants them."""
    return [list(column) for column in zip(*rows, strict=True)]


def _announce(account_ids: Iterable[int]) -> None:
    """Tell customers their new balances, once it is true."""
    ids = sorted(set(account_ids))
    transaction.on_commit(lambda: _send_balances(ids), robust=True)


def _send_balances(account_ids: list[int]) -> None:
    as_of = clock.now()  # before reading: of two events, the later one then has the newer balance
    rows = database.prepared(
        """
        SELECT a.owner_id, a.posted, a.held, s.code, s.scale
        FROM ledger_account a JOIN ledger_asset s ON s.id = a.asset_id
        WHERE a.id = ANY (%s::bigint[]) AND a.owner_id IS NOT NULL ORDER BY a.id
        """,
        [account_ids],
    )
    events = []
    for owner_id, posted, held, code, scale in rows:
        account = Account(posted=posted, held=held, asset=Asset(code=code, scale=scale))
        events.append((owner_id, "balances", queries.balance_event(account, as_of=as_of)))
    realtime.send_private(events)
