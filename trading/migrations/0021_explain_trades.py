"""A journal of kind `trade` moves what its trade says: quantity, cost and fees, and nothing else.

Trades are the hot path, so this looks once for each statement of transfers and not, deferred, once
for each row. A trade is therefore written before its journal.
"""

from django.db import migrations

# What each trade's journal has to move. A key that names no trade explains nothing.
EXPLAINED = """
CREATE VIEW trading_explained AS
    SELECT j.id AS journal_id, j.kind, leg.debit_id, leg.credit_id, leg.amount
    FROM ledger_journal j
    JOIN trading_trade t ON t.uid = CASE
        WHEN j.kind = 'trade' AND j.key LIKE 'trade:%' AND pg_input_is_valid(substr(j.key, 7), 'uuid')
        THEN substr(j.key, 7)::uuid END
    JOIN trading_order b ON b.id = t.buy_order_id
    JOIN trading_order s ON s.id = t.sell_order_id
    JOIN ledger_account cash ON cash.id = b.cash_account_id
    LEFT JOIN ledger_account f
        ON f.role = 'fees' AND f.asset_id = cash.asset_id AND f.owner_id IS NULL
    CROSS JOIN LATERAL (VALUES
        (s.token_account_id, b.token_account_id, t.quantity),
        (b.cash_account_id, s.cash_account_id, t.cost),
        (b.cash_account_id, f.id, greatest(t.buy_fee, 0)),
        (f.id, b.cash_account_id, greatest(-t.buy_fee, 0)),
        (s.cash_account_id, f.id, greatest(t.sell_fee, 0)),
        (f.id, s.cash_account_id, greatest(-t.sell_fee, 0))
    ) AS leg(debit_id, credit_id, amount)
    WHERE j.kind = 'trade' AND leg.amount > 0;
REVOKE ALL ON trading_explained FROM krakapp_app;
GRANT SELECT ON trading_explained TO krakapp_app;
"""

# Sets of the same size, of which one has nothing that the other lacks, are equal. The joins go as
# they are written, from each journal by indexes: where statistics lag behind a table that grows,
# the planner would multiply tables that it takes for empty.
GUARD = """
CREATE FUNCTION trading_explain_journals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET join_collapse_limit = 1 SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    journals bigint[] := ARRAY(
        SELECT j.id FROM public.ledger_journal j
        WHERE j.id IN (SELECT journal_id FROM inserted) AND j.kind = 'trade');
BEGIN
    IF journals <> '{}' AND (
        (SELECT count(*) FROM public.ledger_transfer WHERE journal_id = ANY (journals))
        <> (SELECT count(*) FROM public.trading_explained WHERE journal_id = ANY (journals))
        OR EXISTS (
            SELECT journal_id, debit_id, credit_id, amount FROM public.ledger_transfer
            WHERE journal_id = ANY (journals)
            EXCEPT ALL SELECT journal_id, debit_id, credit_id, amount
            FROM public.trading_explained WHERE journal_id = ANY (journals))
    ) THEN
        RAISE EXCEPTION 'a journal of kind trade is not what its trade says'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_explained';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION trading_explain_journals() FROM PUBLIC;
CREATE TRIGGER trading_journals_explained AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION trading_explain_journals();
INSERT INTO ledger_journalkind (name, guard) VALUES ('trade', 'trading_journals_explained')
    ON CONFLICT (name) DO UPDATE SET guard = excluded.guard;
"""

NO_GUARD = """
UPDATE ledger_journalkind SET guard = '' WHERE name = 'trade';
DROP TRIGGER trading_journals_explained ON ledger_transfer;
DROP FUNCTION trading_explain_journals();
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0020_what_the_dealer_takes"), ("ledger", "0004_journal_kinds")]
    operations = [
        migrations.RunSQL(EXPLAINED, "DROP VIEW trading_explained"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
