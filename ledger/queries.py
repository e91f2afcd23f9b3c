"""Questions to the books."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import RawSQL

from common import database
from common.invariants import Check
from common.money import Amount
from ledger.models import Account, Asset, Claim, Hold, HoldEntry, Journal, Transfer

# The transfers of a customer's accounts: what came (+) and what went (-). The accounts are an
# array, which the planner looks up in two indexes; a join would have it read the whole table.
OWN = """
    SELECT id, journal_id, asset_id, amount AS units FROM ledger_transfer
    WHERE credit_id = ANY (ARRAY(SELECT id FROM ledger_account WHERE owner_id = %s))
    UNION ALL
    SELECT id, journal_id, asset_id, -amount FROM ledger_transfer
    WHERE debit_id = ANY (ARRAY(SELECT id FROM ledger_account WHERE owner_id = %s))
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has, in units of its asset."""

    id: int
    owner_id: int | None
    asset_id: int
    posted: int
    held: int
    overdraft: bool

    @property
    def available(self) -> int:
        """Units that are neither spent nor set aside."""
        return self.posted - self.held


def asset(code: str) -> Asset:
    """Find an asset by its code.

    :raises Asset.DoesNotExist: if nothing of that name can be counted here
    """
    for found in database.read(Asset, "WHERE code = %s", [code]):
        return found
    raise Asset.DoesNotExist(f"no asset {code}")


def usd() -> Asset:
    """Give the dollar."""
    return asset("USD")


def customer_accounts(user: AbstractBaseUser) -> QuerySet[Account]:
    """List a customer's accounts with their assets, dollars first."""
    return (
        Account.objects.filter(owner_id=user.pk, role=Account.Role.CUSTOMER)
        .select_related("asset", "claim__hold")
        .order_by("asset__kind", "asset__code")
    )


def balances_of(user: AbstractBaseUser) -> list[Account]:
    """List a customer's accounts that are not empty: `posted`, `held` and `available` units."""
    return [account for account in customer_accounts(user) if account.posted]


def claim_on(account: Account) -> Claim | None:
    """Give what an account of `customer_accounts` owes, if it ever owed anything."""
    return getattr(account, "claim", None)


def open_claims() -> QuerySet[Claim]:
    """List what accounts owe, with the account and the hold that collects it."""
    return Claim.objects.filter(owed__gt=0).select_related("account", "hold")


def holders_since(asset_id: int, moment: datetime) -> QuerySet[Account]:
    """List customers' accounts that have some of an asset, and had come to some before a time."""
    came = Transfer.objects.filter(credit=OuterRef("pk"), journal__occurred_at__lt=moment)
    return Account.objects.filter(
        Exists(came), asset=asset_id, role="customer", owner__isnull=False, posted__gt=0
    )


def account_id(*, owner_id: int | None, asset_id: int, role: str) -> int | None:
    """Find an account's id, if it was ever opened."""
    return (
        Account.objects.filter(owner_id=owner_id, asset_id=asset_id, role=role)
        .values_list("id", flat=True)
        .first()
    )


def house_account(role: str, asset: Asset) -> int | None:
    """Find the house's account of a role, if it was ever opened."""
    return account_id(owner_id=None, asset_id=asset.pk, role=role)


def accounts(ids: Iterable[int]) -> dict[int, Account]:
    """Read accounts with their assets, by id."""
    return Account.objects.select_related("asset").in_bulk(list(ids))


def hold_remaining(hold_id: int) -> int:
    """Read how many units a hold still sets aside."""
    return Hold.objects.values_list("remaining", flat=True).get(pk=hold_id)


def journal_exists(key: str) -> bool:
    """Say whether an event is in the books."""
    return Journal.objects.filter(key=key).exists()


def movements_of(user: AbstractBaseUser) -> QuerySet[Journal]:
    """List the journals that touched a customer's accounts, newest first."""
    touched = RawSQL(f"SELECT journal_id FROM ({OWN}) AS own", [user.pk, user.pk])  # noqa: S608, S611 - ours
    return Journal.objects.filter(pk__in=touched).order_by("-id")


def legs_in_words(journal: str) -> list[str]:
    """Say what a journal, found by its uid, moved: "fees to customer: 5.000000 USD"."""
    rows = Transfer.objects.filter(journal__uid=journal).order_by("id")
    return [
        f"{leg.debit.role} to {leg.credit.role}: {Amount(leg.amount, leg.asset)} {leg.asset.code}"
        for leg in rows.select_related("asset", "debit", "credit")
    ]


@dataclass(frozen=True, slots=True)
class Move:
    """What one journal brought a customer (+) or took (-) of one asset, in its units, net."""

    at: datetime
    journal_id: int
    key: str
    asset: Asset
    units: int


def moves_since(user: AbstractBaseUser, since: datetime) -> list[Move]:
    """List what came to a customer and went since a time, by when it happened."""
    return _moves(user, "j.occurred_at >= %s::timestamptz", since)


def moves_in(user: AbstractBaseUser, journal_ids: Sequence[int]) -> list[Move]:
    """List what came to a customer and went in some journals, by when it happened."""
    return _moves(user, "m.journal_id = ANY (%s::bigint[])", list(journal_ids))


def _moves(user: AbstractBaseUser, which: str, value: Any) -> list[Move]:
    query = f"""
        SELECT j.occurred_at, j.id, j.key, sum(m.units)::bigint, a.id, a.code, a.scale, a.kind
        FROM ({OWN}) AS m
        JOIN ledger_journal j ON j.id = m.journal_id
        JOIN ledger_asset a ON a.id = m.asset_id
        WHERE {which}
        GROUP BY j.id, a.id HAVING sum(m.units) <> 0
        ORDER BY j.occurred_at, j.id, min(m.id)
    """  # noqa: S608 - what is filled in stands above
    rows = database.prepared(query, [user.pk, user.pk, value])
    assets = {pk: Asset(pk, code, scale, kind) for *_, pk, code, scale, kind in rows}
    return [Move(at, id_, key, assets[asset], units) for at, id_, key, units, asset, *_ in rows]


def entries_of(hold: Hold) -> QuerySet[HoldEntry]:
    """List a hold's entries, oldest first."""
    return hold.entries.select_related("journal").order_by("id")


def balance_event(account: Account, *, as_of: datetime) -> dict[str, Any]:
    """Say an account's balance as the private `balances` channel does.

    :param as_of: a time just before the account was read
    """
    return {
        "asset": account.asset.code,
        "total": str(Amount(account.posted, account.asset)),
        "held": str(Amount(account.held, account.asset)),
        "available": str(Amount(account.available, account.asset)),
        "as_of": as_of.isoformat(),
    }


def explained(*, by: str, kinds: Sequence[str]) -> Check:
    """Check that journals of some kinds move what business rows say, each row once, and no more.

    The app that writes the kinds makes the view, and its `CHECKS` hold this beside the trigger that
    refuses a journal without its row: the trigger watches, the audit looks again.

    :param by: a view of what the rows explain: (journal_id, kind, debit_id, credit_id, amount) of
        each leg
    """
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    query = f"""
        SELECT format('journal %s (%s) is not what its row says', coalesce(j.key, '?'), d.kind)
        FROM (
            (SELECT t.journal_id, j.kind, t.debit_id, t.credit_id, t.amount
             FROM ledger_transfer t JOIN ledger_journal j ON j.id = t.journal_id
             WHERE j.kind IN ({listed})
             EXCEPT ALL SELECT journal_id, kind, debit_id, credit_id, amount FROM {by})
            UNION ALL
            (SELECT journal_id, kind, debit_id, credit_id, amount FROM {by}
             EXCEPT ALL SELECT t.journal_id, j.kind, t.debit_id, t.credit_id, t.amount
             FROM ledger_transfer t JOIN ledger_journal j ON j.id = t.journal_id
             WHERE j.kind IN ({listed}))
        ) AS d LEFT JOIN ledger_journal j ON j.id = d.journal_id
        GROUP BY d.journal_id, j.key, d.kind ORDER BY d.journal_id
    """  # noqa: S608 - names of our own
    return Check(39, f"journals are explained by {by}", query)


# The invariants' numbers are those of docs/invariants.md.
CHECKS = [
    Check(
        1,
        "assets sum to zero",
        """
        SELECT s.code || ' sums to ' || sum(a.posted)
        FROM ledger_account a JOIN ledger_asset s ON s.id = a.asset_id
        GROUP BY s.code HAVING sum(a.posted) <> 0
        """,
    ),
    Check(
        2,
        "posted is credits less debits",
        """
        SELECT format('account %s posted %s, its transfers say %s', a.id, a.posted,
                      coalesce(moved.total, 0))
        FROM ledger_account a LEFT JOIN (
            SELECT account_id, sum(delta) AS total FROM (
                SELECT debit_id AS account_id, -amount AS delta FROM ledger_transfer
                UNION ALL SELECT credit_id, amount FROM ledger_transfer
            ) AS legs GROUP BY account_id
        ) AS moved ON moved.account_id = a.id
        WHERE a.posted <> coalesce(moved.total, 0)
        """,
    ),
    Check(
        3,
        "held is the sum of holds",
        """
        SELECT format('account %s held %s, its entries say %s, its holds %s', a.id, a.held,
                      coalesce(e.total, 0), coalesce(h.total, 0))
        FROM ledger_account a
        LEFT JOIN (SELECT account_id, sum(delta) AS total FROM ledger_holdentry GROUP BY 1) e
            ON e.account_id = a.id
        LEFT JOIN (SELECT account_id, sum(remaining) AS total FROM ledger_hold GROUP BY 1) h
            ON h.account_id = a.id
        WHERE a.held <> coalesce(e.total, 0) OR a.held <> coalesce(h.total, 0)
        """,
    ),
    Check(
        4,
        "balances cover holds",
        """
        SELECT format('account %s has %s posted and %s held', id, posted, held)
        FROM ledger_account
        WHERE held < 0 OR (NOT overdraft AND posted < held)
           OR overdraft <> (role IN ('external', 'issuer', 'fees'))
        """,
    ),
    Check(
        5,
        "holds are the sum of their entries",
        """
        SELECT format('hold %s has %s, its entries say %s', h.id, h.remaining,
                      coalesce(sum(e.delta), 0))
        FROM ledger_hold h LEFT JOIN ledger_holdentry e ON e.hold_id = h.id
        GROUP BY h.id HAVING h.remaining <> coalesce(sum(e.delta), 0) OR h.remaining < 0
        """,
    ),
    Check(
        6,
        "transfers move one asset between two accounts",
        """
        SELECT format('transfer %s', t.id)
        FROM ledger_transfer t
        LEFT JOIN ledger_account d ON d.id = t.debit_id
        LEFT JOIN ledger_account c ON c.id = t.credit_id
        WHERE d.asset_id IS DISTINCT FROM t.asset_id OR c.asset_id IS DISTINCT FROM t.asset_id
           OR t.debit_id = t.credit_id OR t.amount <= 0
        """,
    ),
    Check(
        7,
        "no empty journal",
        """
        SELECT format('journal %s (%s) has no transfer', j.id, j.key) FROM ledger_journal j
        WHERE NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.journal_id = j.id)
        """,
    ),
    Check(
        7,
        "journal keys are unique",
        """
        SELECT format('journal key %s stands %s times', key, count(*))
        FROM ledger_journal GROUP BY key HAVING count(*) > 1
        """,
    ),
    Check(
        7,
        "a reversal mirrors its original, once",
        """
        SELECT format('journal %s reverses %s without mirroring it', r.id, r.reverses_id)
        FROM ledger_journal r
        WHERE r.reverses_id IS NOT NULL AND EXISTS (
            (SELECT asset_id, debit_id, credit_id, sum(amount) FROM ledger_transfer
             WHERE journal_id = r.id GROUP BY 1, 2, 3
             EXCEPT SELECT asset_id, credit_id, debit_id, sum(amount) FROM ledger_transfer
             WHERE journal_id = r.reverses_id GROUP BY 1, 2, 3)
            UNION ALL
            (SELECT asset_id, credit_id, debit_id, sum(amount) FROM ledger_transfer
             WHERE journal_id = r.reverses_id GROUP BY 1, 2, 3
             EXCEPT SELECT asset_id, debit_id, credit_id, sum(amount) FROM ledger_transfer
             WHERE journal_id = r.id GROUP BY 1, 2, 3)
        )
        UNION ALL
        SELECT format('journal %s was reversed %s times', reverses_id, count(*))
        FROM ledger_journal WHERE reverses_id IS NOT NULL
        GROUP BY reverses_id HAVING count(*) > 1
        """,
    ),
    Check(
        8,
        "hold entries stay on their hold's account",
        """
        SELECT format('hold entry %s is on account %s, its hold on %s', e.id, e.account_id,
                      h.account_id)
        FROM ledger_holdentry e LEFT JOIN ledger_hold h ON h.id = e.hold_id
        WHERE h.account_id IS DISTINCT FROM e.account_id
        """,
    ),
    Check(
        8,
        "captures are paid by their journal",
        """
        SELECT format('journal %s captures %s of account %s and debits %s', c.journal_id,
                      c.taken, c.account_id, coalesce(d.paid, 0))
        FROM (SELECT journal_id, account_id, -sum(delta) AS taken FROM ledger_holdentry
              WHERE journal_id IS NOT NULL GROUP BY 1, 2) AS c
        LEFT JOIN (SELECT journal_id, debit_id, sum(amount) AS paid FROM ledger_transfer
                   GROUP BY 1, 2) AS d
            ON d.journal_id = c.journal_id AND d.debit_id = c.account_id
        WHERE c.taken > coalesce(d.paid, 0)
        """,
    ),
    Check(
        45,
        "what is available is set aside for claims first",
        """
        SELECT format('account %s has %s available and owes %s, of which %s is set aside', a.id,
                      a.posted - a.held, c.owed, h.remaining)
        FROM ledger_claim c
        JOIN ledger_account a ON a.id = c.account_id
        JOIN ledger_hold h ON h.id = c.hold_id
        WHERE (c.owed > h.remaining AND a.posted > a.held) OR h.remaining > c.owed
        UNION ALL
        SELECT format('claim %s says %s, its entries %s', c.id, c.owed,
                      (SELECT sum(delta) FROM ledger_claimentry e WHERE e.claim_id = c.id))
        FROM ledger_claim c
        WHERE c.owed <> (
            SELECT coalesce(sum(delta), 0) FROM ledger_claimentry e WHERE e.claim_id = c.id
        )
        UNION ALL
        SELECT format('the hold of claim %s is on another account', c.id)
        FROM ledger_claim c JOIN ledger_hold h ON h.id = c.hold_id
        WHERE h.account_id <> c.account_id
        """,
    ),
    Check(
        9,
        "the books' triggers are enabled",
        """
        SELECT 'trigger ' || wanted.name || ' is missing or disabled'
        FROM (VALUES ('ledger_transfers_move', 'ledger_transfer'),
                     ('ledger_hold_entries_hold', 'ledger_holdentry'),
                     ('ledger_claim_entries_claim', 'ledger_claimentry'),
                     ('ledger_journals_at_once', 'ledger_transfer'),
                     ('ledger_reversals_mirror', 'ledger_journal')) AS wanted(name, table_name)
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE t.tgname = wanted.name AND c.relname = wanted.table_name AND t.tgenabled = 'O'
        )
        UNION ALL
        SELECT format('trigger %s of %s is disabled', t.tgname, c.relname)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE t.tgenabled <> 'O' AND c.relname IN ('ledger_asset', 'ledger_account',
            'ledger_journal', 'ledger_transfer', 'ledger_hold', 'ledger_holdentry',
            'ledger_claim', 'ledger_claimentry')
        UNION ALL
        SELECT format('function %s does not run as the owner, in its own search path', wanted.name)
        FROM unnest(ARRAY['ledger_lock_accounts', 'ledger_apply_transfers',
            'ledger_apply_hold_entries', 'ledger_take_claims', 'ledger_apply_claim_entries',
            'ledger_write_journals_at_once',
            'ledger_mirror_reversals', 'ledger_require_explained']) AS wanted(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_proc p JOIN pg_class c ON c.relowner = p.proowner
            WHERE p.proname = wanted.name AND c.relname = 'ledger_account' AND p.prosecdef
                AND 'search_path=pg_catalog, public, pg_temp' = ANY (p.proconfig)
        )
        """,
    ),
    Check(
        9,
        "the books' constraints are in force",
        """
        SELECT 'constraint ' || wanted.name || ' is missing or not valid'
        FROM unnest(ARRAY['account_unique', 'account_covers_holds', 'account_customer_iff_owned',
            'transfer_amount_positive', 'transfer_two_accounts', 'transfer_debit_holds_asset',
            'transfer_credit_holds_asset', 'hold_not_negative', 'hold_entry_moves',
            'hold_entry_of_its_account', 'hold_entry_capture_takes', 'claim_not_negative',
            'claim_hold_of_its_account', 'claim_entry_moves',
            'ledger_journal_key_key', 'ledger_journal_reverses_id_key',
            'journal_kind_listed']) AS wanted(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_constraint c WHERE c.conname = wanted.name AND c.convalidated
        )
        """,
    ),
    Check(
        9,
        "the app may only insert into the books",
        """
        SELECT format('krakapp_app may %s %s', may.privilege, may.table_name)
        FROM (
            SELECT t.table_name, p.privilege
            FROM unnest(ARRAY['ledger_asset', 'ledger_account', 'ledger_journal',
                'ledger_transfer', 'ledger_hold', 'ledger_holdentry', 'ledger_claim',
                'ledger_claimentry']) AS t(table_name),
                unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p(privilege)
        ) AS may
        WHERE has_table_privilege('krakapp_app', may.table_name, may.privilege)
           OR (may.privilege = 'UPDATE'
               AND has_any_column_privilege('krakapp_app', may.table_name, 'UPDATE'))
        UNION ALL
        SELECT format('krakapp_app may write %s.%s', kept.table_name, kept.column_name)
        FROM (VALUES ('ledger_account', 'posted'), ('ledger_account', 'held'),
                     ('ledger_hold', 'remaining'), ('ledger_journal', 'recorded_at'),
                     ('ledger_journal', 'written_in'), ('ledger_claim', 'owed'),
                     ('ledger_claimentry', 'recorded_at'),
                     ('ledger_holdentry', 'recorded_at')) AS kept(table_name, column_name)
        WHERE has_column_privilege('krakapp_app', kept.table_name, kept.column_name, 'INSERT')
        UNION ALL
        SELECT 'krakapp_app may ' || privilege || ' kinds of journals'
        FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
        WHERE has_table_privilege('krakapp_app', 'ledger_journalkind', privilege)
        UNION ALL
        SELECT 'krakapp_app owns ' || c.relname
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = 'krakapp_app'
        UNION ALL
        SELECT 'krakapp_app may become ' || r.rolname
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relname = 'ledger_account' AND pg_has_role('krakapp_app', r.oid, 'MEMBER')
        """,
    ),
    Check(
        10,
        "customers' money is owed from outside",
        """
        SELECT format('the outside owes less than nothing: %s of %s', sum(a.posted), s.code)
        FROM ledger_account a JOIN ledger_asset s ON s.id = a.asset_id
        WHERE a.role IN ('external', 'issuer')
        GROUP BY s.code HAVING sum(a.posted) > 0
        """,
    ),
    Check(
        39,
        "each kind of journal has a guard",
        """
        SELECT format('journals of kind %s are guarded by no trigger', k.name)
        FROM ledger_journalkind k
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger t
            WHERE t.tgname = k.guard AND t.tgenabled = 'O' AND t.tgrelid IN (
                'ledger_journal'::regclass, 'ledger_transfer'::regclass)
        )
        UNION ALL
        SELECT format('journal %s is of no listed kind: %s', j.key, j.kind)
        FROM ledger_journal j
        WHERE NOT EXISTS (SELECT FROM ledger_journalkind k WHERE k.name = j.kind)
        """,
    ),
]
