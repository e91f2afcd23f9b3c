"""The books keep themselves: composite keys, triggers, and what the app's role may not do.

Everything here runs as the tables' owner. The app connects as `krakapp_app` (made by
`provision_database`), which may insert into the books and read them, and nothing else.
"""

from django.db import migrations

COMPOSITE_KEYS = """
ALTER TABLE ledger_transfer
    ADD CONSTRAINT transfer_debit_holds_asset
        FOREIGN KEY (debit_id, asset_id) REFERENCES ledger_account (id, asset_id),
    ADD CONSTRAINT transfer_credit_holds_asset
        FOREIGN KEY (credit_id, asset_id) REFERENCES ledger_account (id, asset_id);
ALTER TABLE ledger_holdentry
    ADD CONSTRAINT hold_entry_of_its_account
        FOREIGN KEY (hold_id, account_id) REFERENCES ledger_hold (id, account_id);
ALTER TABLE ledger_account SET (fillfactor = 60);
ALTER TABLE ledger_hold SET (fillfactor = 60);
"""

NO_COMPOSITE_KEYS = """
ALTER TABLE ledger_transfer
    DROP CONSTRAINT transfer_debit_holds_asset,
    DROP CONSTRAINT transfer_credit_holds_asset;
ALTER TABLE ledger_holdentry DROP CONSTRAINT hold_entry_of_its_account;
ALTER TABLE ledger_account RESET (fillfactor);
ALTER TABLE ledger_hold RESET (fillfactor);
"""

# Rows are locked in id order before they are updated: a plain grouped UPDATE locks in the order
# of its join and deadlocks. NO KEY, because a foreign-key check takes KEY SHARE on the same rows.
TRIGGERS = """
CREATE FUNCTION ledger_lock_accounts(ids bigint[])
RETURNS TABLE (id bigint, owner_id bigint, asset_id bigint, posted bigint, held bigint,
               overdraft boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.id, a.owner_id, a.asset_id, a.posted, a.held, a.overdraft
    FROM public.ledger_account a WHERE a.id = ANY (ids)
    ORDER BY a.id FOR NO KEY UPDATE
$$;

CREATE FUNCTION ledger_apply_transfers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_account a
    WHERE a.id IN (SELECT debit_id FROM inserted UNION SELECT credit_id FROM inserted)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE public.ledger_account a SET posted = a.posted + moved.delta
    FROM (
        SELECT account_id, sum(delta) AS delta
        FROM (
            SELECT debit_id AS account_id, -amount AS delta FROM inserted
            UNION ALL SELECT credit_id, amount FROM inserted
        ) AS legs
        GROUP BY account_id
    ) AS moved
    WHERE a.id = moved.account_id AND moved.delta <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger_apply_hold_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_account a
    WHERE a.id IN (SELECT account_id FROM inserted)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE public.ledger_hold h SET remaining = h.remaining + changed.delta
    FROM (SELECT hold_id, sum(delta) AS delta FROM inserted GROUP BY hold_id) AS changed
    WHERE h.id = changed.hold_id;
    UPDATE public.ledger_account a SET held = a.held + changed.delta
    FROM (SELECT account_id, sum(delta) AS delta FROM inserted GROUP BY account_id) AS changed
    WHERE a.id = changed.account_id AND changed.delta <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_transfers_move AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_transfers();
CREATE TRIGGER ledger_hold_entries_hold AFTER INSERT ON ledger_holdentry
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_hold_entries();
"""

NO_TRIGGERS = """
DROP TRIGGER ledger_transfers_move ON ledger_transfer;
DROP TRIGGER ledger_hold_entries_hold ON ledger_holdentry;
DROP FUNCTION ledger_apply_transfers();
DROP FUNCTION ledger_apply_hold_entries();
DROP FUNCTION ledger_lock_accounts(bigint[]);
"""

# Column grants: a balance, a remaining part or a recording time can't even be named in an INSERT.
GRANTS = """
REVOKE ALL ON ledger_asset, ledger_account, ledger_journal, ledger_transfer, ledger_hold,
    ledger_holdentry FROM krakapp_app;
GRANT SELECT ON ledger_asset, ledger_account, ledger_journal, ledger_transfer, ledger_hold,
    ledger_holdentry TO krakapp_app;
GRANT INSERT (code, scale, kind) ON ledger_asset TO krakapp_app;
GRANT INSERT (owner_id, asset_id, role) ON ledger_account TO krakapp_app;
GRANT INSERT (uid, key, kind, actor_id, occurred_at, reverses_id) ON ledger_journal TO krakapp_app;
GRANT INSERT (journal_id, asset_id, debit_id, credit_id, amount) ON ledger_transfer TO krakapp_app;
GRANT INSERT (account_id, purpose) ON ledger_hold TO krakapp_app;
GRANT INSERT (hold_id, account_id, delta, journal_id) ON ledger_holdentry TO krakapp_app;
REVOKE ALL ON FUNCTION ledger_lock_accounts(bigint[]), ledger_apply_transfers(),
    ledger_apply_hold_entries() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_lock_accounts(bigint[]) TO krakapp_app;
"""

NO_GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_asset, ledger_account, ledger_journal,
    ledger_transfer, ledger_hold, ledger_holdentry TO krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(COMPOSITE_KEYS, NO_COMPOSITE_KEYS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.RunSQL(GRANTS, NO_GRANTS),
    ]
