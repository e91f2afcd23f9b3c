"""A deposit is of whom its instruction names, or of whom an executed proposal does.

What the app's role may change of a credit is how it was decided, and the guard looks at that.
"""

from importlib import import_module

from django.db import migrations

before = import_module("payments.migrations.0004_explain_house_money")

DEPOSITS = """
    SELECT c.journal_id, 'deposit'::varchar AS kind, outside.id AS debit_id, own.id AS credit_id,
           c.amount_units AS amount
    FROM payments_bankcredit c
    LEFT JOIN payments_depositinstruction i ON i.id = c.instruction_id AND i.asset_id = c.asset_id
    LEFT JOIN users_proposal p ON p.id = c.proposal_id AND p.status = 'executed'
        AND p.kind = 'payments.assign_credit' AND p.payload->>'credit' = c.external_id
        AND p.subject_id = c.user_id
    JOIN ledger_account outside ON outside.role = 'external' AND outside.owner_id IS NULL
        AND outside.asset_id = c.asset_id
    JOIN ledger_account own ON own.role = 'customer' AND own.owner_id = c.user_id
        AND own.asset_id = c.asset_id
    WHERE c.journal_id IS NOT NULL AND CASE c.waits_for
        WHEN '' THEN i.user_id = c.user_id ELSE p.id IS NOT NULL END
"""
VIEW = "CREATE OR REPLACE VIEW payments_explained AS " + DEPOSITS + " UNION ALL " + before.HOUSE

GUARD = """
CREATE CONSTRAINT TRIGGER payments_credit_explains AFTER INSERT OR UPDATE ON payments_bankcredit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
GRANT UPDATE (status, user_id, proposal_id, journal_id) ON payments_bankcredit TO krakapp_app;
"""
NO_GUARD = """
DROP TRIGGER payments_credit_explains ON payments_bankcredit;
REVOKE UPDATE ON payments_bankcredit FROM krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0005_waiting_credits")]
    operations = [
        migrations.RunSQL(VIEW, before.VIEW),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
