"""A closed list of journal kinds, and journals that are written at once or not at all.

Only a migration adds a kind: the app's role may read the list. Each kind names the trigger that
holds its journals to the business rows that explain them; the app that writes the kind brings it.
"""

from django.db import migrations, models

# Books that stand have kinds already. The apps above say for each of theirs what guards it; the
# audit names those for which none does.
LIST = """
INSERT INTO ledger_journalkind (name, guard)
    SELECT kind, '' FROM ledger_journal UNION VALUES ('capital', ''), ('issue', '');
ALTER TABLE ledger_journal ADD CONSTRAINT journal_kind_listed
    FOREIGN KEY (kind) REFERENCES ledger_journalkind (name);
REVOKE ALL ON ledger_journalkind FROM krakapp_app;
GRANT SELECT ON ledger_journalkind TO krakapp_app;
"""

NO_LIST = "ALTER TABLE ledger_journal DROP CONSTRAINT journal_kind_listed"

# The transaction that wrote a journal is a column that nobody may name: what was there before
# this migration has none.
WHOLE = """
ALTER TABLE ledger_journal ADD COLUMN written_in xid8;
ALTER TABLE ledger_journal ALTER COLUMN written_in SET DEFAULT pg_current_xact_id();

CREATE FUNCTION ledger_write_journals_at_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted i JOIN public.ledger_journal j ON j.id = i.journal_id
        WHERE j.written_in IS DISTINCT FROM pg_current_xact_id()
    ) THEN
        RAISE EXCEPTION 'a journal is written with all its transfers, in one transaction'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_written_at_once';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger_mirror_reversals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        (SELECT asset_id, debit_id, credit_id, amount FROM public.ledger_transfer
         WHERE journal_id = NEW.id
         EXCEPT ALL SELECT asset_id, credit_id, debit_id, amount FROM public.ledger_transfer
         WHERE journal_id = NEW.reverses_id)
        UNION ALL
        (SELECT asset_id, credit_id, debit_id, amount FROM public.ledger_transfer
         WHERE journal_id = NEW.reverses_id
         EXCEPT ALL SELECT asset_id, debit_id, credit_id, amount FROM public.ledger_transfer
         WHERE journal_id = NEW.id)
    ) THEN
        RAISE EXCEPTION 'journal % does not mirror journal %', NEW.id, NEW.reverses_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_reversal_mirrors';
    END IF;
    RETURN NULL;
END $$;

-- For deferred triggers of the apps above, on journals and on the rows that explain them; the
-- argument names the view of what these rows explain.
CREATE FUNCTION ledger_require_explained() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    journals bigint[];
    differs boolean;
BEGIN
    IF TG_RELID = 'public.ledger_journal'::regclass THEN
        journals := ARRAY[NEW.id];
    ELSIF TG_OP = 'UPDATE' THEN
        journals := ARRAY[OLD.journal_id, NEW.journal_id];
    ELSE
        journals := ARRAY[NEW.journal_id];
    END IF;
    journals := array_remove(journals, NULL);
    EXECUTE format($query$
        WITH moved AS MATERIALIZED (
            SELECT t.journal_id, j.kind, t.debit_id, t.credit_id, t.amount
            FROM public.ledger_transfer t JOIN public.ledger_journal j ON j.id = t.journal_id
            WHERE t.journal_id = ANY ($1)
        ), said AS MATERIALIZED (
            SELECT journal_id, kind, debit_id, credit_id, amount FROM public.%I
            WHERE journal_id = ANY ($1)
        )
        SELECT EXISTS (SELECT FROM unnest($1) AS one(id)
                       WHERE one.id NOT IN (SELECT journal_id FROM said))
            OR EXISTS (TABLE moved EXCEPT ALL TABLE said)
            OR EXISTS (TABLE said EXCEPT ALL TABLE moved)
    $query$, TG_ARGV[0]) INTO differs USING journals;
    IF differs THEN
        RAISE EXCEPTION 'journal % is not what one row of % says', journals, TG_ARGV[0]
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_explained';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_journals_at_once AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_write_journals_at_once();
CREATE CONSTRAINT TRIGGER ledger_reversals_mirror AFTER INSERT ON ledger_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL)
    EXECUTE FUNCTION ledger_mirror_reversals();
REVOKE ALL ON FUNCTION ledger_write_journals_at_once(), ledger_mirror_reversals(),
    ledger_require_explained() FROM PUBLIC;
"""

NOT_WHOLE = """
DROP TRIGGER ledger_journals_at_once ON ledger_transfer;
DROP TRIGGER ledger_reversals_mirror ON ledger_journal;
DROP FUNCTION ledger_write_journals_at_once();
DROP FUNCTION ledger_mirror_reversals();
DROP FUNCTION ledger_require_explained();
ALTER TABLE ledger_journal DROP COLUMN written_in;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_transfers_by_account")]
    operations = [
        migrations.CreateModel(
            name="JournalKind",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("guard", models.CharField(max_length=63)),
            ],
        ),
        migrations.RunSQL(LIST, NO_LIST),
        migrations.RunSQL(WHOLE, NOT_WHOLE),
    ]
