"""A journal of kind `deposit` moves what one bank credit brought, to who announced it, no more.

Looked at when the transaction ends, from both sides: of a journal, and of a row that claims one.
"""

from django.db import migrations

EXPLAINED = """
CREATE VIEW payments_explained AS
    SELECT c.journal_id, 'deposit'::varchar AS kind, outside.id AS debit_id, own.id AS credit_id,
           c.amount_units AS amount
    FROM payments_bankcredit c
    JOIN payments_depositinstruction i ON i.id = c.instruction_id AND i.asset_id = c.asset_id
    JOIN ledger_account outside ON outside.role = 'external' AND outside.owner_id IS NULL
        AND outside.asset_id = c.asset_id
    JOIN ledger_account own ON own.role = 'customer' AND own.owner_id = i.user_id
        AND own.asset_id = c.asset_id
    WHERE c.journal_id IS NOT NULL;
REVOKE ALL ON payments_explained FROM krakapp_app;
GRANT SELECT ON payments_explained TO krakapp_app;
"""

# What a credit or an instruction says of money that was posted stays as it was.
GUARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON payments_bankcredit, payments_depositinstruction
    FROM krakapp_app;
GRANT UPDATE (status, completed_at) ON payments_depositinstruction TO krakapp_app;
CREATE CONSTRAINT TRIGGER payments_journals_explained AFTER INSERT ON ledger_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ('deposit'))
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
CREATE CONSTRAINT TRIGGER payments_credit_explains AFTER INSERT OR UPDATE ON payments_bankcredit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
INSERT INTO ledger_journalkind (name, guard) VALUES
    ('deposit', 'payments_journals_explained'), ('capital', 'payments_journals_explained'),
    ('issue', 'payments_journals_explained')
    ON CONFLICT (name) DO UPDATE SET guard = excluded.guard;
"""

NO_GUARD = """
UPDATE ledger_journalkind SET guard = '' WHERE name = 'deposit';
DROP TRIGGER payments_journals_explained ON ledger_journal;
DROP TRIGGER payments_credit_explains ON payments_bankcredit;
GRANT UPDATE, DELETE, TRUNCATE ON payments_bankcredit, payments_depositinstruction TO krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("ledger", "0004_journal_kinds")]
    operations = [
        migrations.RunSQL(EXPLAINED, "DROP VIEW payments_explained"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
