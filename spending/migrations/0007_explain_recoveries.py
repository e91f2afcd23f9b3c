"""A journal of kind `card_recovery` moves what one debt reduction says, from its customer's cash."""

from django.db import migrations

EXPLAINED = """
CREATE VIEW spending_recoveries_explained AS
    SELECT r.journal_id, 'card_recovery'::varchar AS kind, cash.id AS debit_id, fees.id AS credit_id,
           r.amount_units AS amount
    FROM spending_debtreduction r
    JOIN ledger_asset usd ON usd.code = 'USD'
    JOIN ledger_account cash
        ON cash.role = 'customer' AND cash.owner_id = r.user_id AND cash.asset_id = usd.id
    JOIN ledger_account fees ON fees.role = 'fees' AND fees.asset_id = usd.id
    WHERE r.journal_id IS NOT NULL;
REVOKE ALL ON spending_recoveries_explained FROM krakapp_app;
GRANT SELECT ON spending_recoveries_explained TO krakapp_app;
"""

GUARD = """
CREATE CONSTRAINT TRIGGER spending_recoveries_explained AFTER INSERT ON ledger_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind = 'card_recovery')
    EXECUTE FUNCTION ledger_require_explained('spending_recoveries_explained');
CREATE CONSTRAINT TRIGGER spending_reduction_explains AFTER INSERT OR UPDATE
    ON spending_debtreduction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.journal_id IS NOT NULL)
    EXECUTE FUNCTION ledger_require_explained('spending_recoveries_explained');
REVOKE UPDATE, DELETE, TRUNCATE ON spending_debtreduction FROM krakapp_app;
INSERT INTO ledger_journalkind (name, guard)
    VALUES ('card_recovery', 'spending_recoveries_explained')
    ON CONFLICT (name) DO UPDATE SET guard = excluded.guard;
"""

NO_GUARD = """
UPDATE ledger_journalkind SET guard = '' WHERE guard = 'spending_recoveries_explained';
DROP TRIGGER spending_recoveries_explained ON ledger_journal;
DROP TRIGGER spending_reduction_explains ON spending_debtreduction;
GRANT UPDATE, DELETE, TRUNCATE ON spending_debtreduction TO krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [("spending", "0006_debts"), ("ledger", "0004_journal_kinds")]
    operations = [
        migrations.RunSQL(EXPLAINED, "DROP VIEW spending_recoveries_explained"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
