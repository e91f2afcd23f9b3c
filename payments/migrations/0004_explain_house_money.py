"""The house's money and what staff corrected move what an executed proposal says, and no more.

The view joins each row to its proposal: a row that none covers explains nothing, and the guard then
refuses its journal.
"""

from django.db import migrations

DEPOSITS = """
    SELECT c.journal_id, 'deposit'::varchar AS kind, outside.id AS debit_id, own.id AS credit_id,
           c.amount_units AS amount
    FROM payments_bankcredit c
    JOIN payments_depositinstruction i ON i.id = c.instruction_id AND i.asset_id = c.asset_id
    JOIN ledger_account outside ON outside.role = 'external' AND outside.owner_id IS NULL
        AND outside.asset_id = c.asset_id
    JOIN ledger_account own ON own.role = 'customer' AND own.owner_id = i.user_id
        AND own.asset_id = c.asset_id
    WHERE c.journal_id IS NOT NULL
"""

HOUSE = """
    SELECT m.journal_id, m.kind, CASE WHEN m.kind IN ('capital', 'issue') THEN source.id ELSE purse.id END,
           CASE WHEN m.kind IN ('capital', 'issue') THEN purse.id ELSE source.id END, m.amount_units
    FROM payments_treasurymovement m
    JOIN ledger_asset a ON a.id = m.asset_id
    JOIN ledger_account purse ON purse.role = m.purse AND purse.asset_id = a.id
    JOIN ledger_account source ON source.asset_id = a.id AND source.role = CASE
        WHEN m.kind IN ('capital', 'capital_out') THEN 'external' ELSE 'issuer' END
    JOIN users_proposal p ON p.id = m.proposal_id
    WHERE p.kind = 'payments.move_treasury' AND p.status = 'executed'
        AND p.payload->>'reference' = m.reference
        AND EXISTS (
            SELECT FROM jsonb_array_elements(p.payload->'movements') AS line
            WHERE line->>'kind' = m.kind AND line->>'purse' = m.purse AND line->>'asset' = a.code
                AND (line->>'amount')::numeric * 10::numeric ^ a.scale = m.amount_units)
    UNION ALL
    SELECT d.journal_id, 'adjustment', CASE WHEN d.amount_units > 0 THEN fees.id ELSE own.id END,
           CASE WHEN d.amount_units > 0 THEN own.id ELSE fees.id END, abs(d.amount_units)
    FROM payments_adjustment d
    JOIN ledger_asset usd ON usd.code = 'USD'
    JOIN ledger_account fees ON fees.role = 'fees' AND fees.asset_id = usd.id
    JOIN ledger_account own
        ON own.role = 'customer' AND own.owner_id = d.user_id AND own.asset_id = usd.id
    JOIN users_proposal p ON p.id = d.proposal_id
    WHERE p.kind = 'payments.adjust_cash' AND p.status = 'executed' AND p.subject_id = d.user_id
        AND (p.payload->>'amount')::numeric * 10::numeric ^ usd.scale = d.amount_units
    UNION ALL
    SELECT r.journal_id, 'reversal', t.credit_id, t.debit_id, t.amount
    FROM payments_reversal r
    JOIN ledger_journal original ON original.id = r.original_id
    JOIN ledger_transfer t ON t.journal_id = original.id
    JOIN users_proposal p ON p.id = r.proposal_id
    WHERE p.kind = 'payments.reverse_journal' AND p.status = 'executed'
        AND p.payload->>'journal' = original.uid::text
        AND original.kind IN ('capital', 'capital_out', 'issue', 'redeem', 'adjustment')
"""

VIEW = "CREATE OR REPLACE VIEW payments_explained AS " + DEPOSITS + " UNION ALL " + HOUSE
OLD_VIEW = "CREATE OR REPLACE VIEW payments_explained AS " + DEPOSITS

JOURNALS = """
DROP TRIGGER payments_journals_explained ON ledger_journal;
CREATE CONSTRAINT TRIGGER payments_journals_explained AFTER INSERT ON ledger_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ({}))
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
"""
KINDS = "'deposit', 'capital', 'capital_out', 'issue', 'redeem', 'adjustment', 'reversal'"

GUARD = JOURNALS.format(KINDS) + """
CREATE CONSTRAINT TRIGGER payments_treasury_explains AFTER INSERT OR UPDATE
    ON payments_treasurymovement DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
CREATE CONSTRAINT TRIGGER payments_adjustment_explains AFTER INSERT OR UPDATE
    ON payments_adjustment DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
CREATE CONSTRAINT TRIGGER payments_reversal_explains AFTER INSERT OR UPDATE
    ON payments_reversal DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
REVOKE UPDATE, DELETE, TRUNCATE ON payments_treasurymovement, payments_adjustment,
    payments_reversal FROM krakapp_app;
INSERT INTO ledger_journalkind (name, guard)
    SELECT kind, 'payments_journals_explained' FROM unnest(ARRAY[{}]) AS kind
    ON CONFLICT (name) DO UPDATE SET guard = excluded.guard;
""".format(KINDS)

NO_GUARD = JOURNALS.format("'deposit'") + """
DROP TRIGGER payments_treasury_explains ON payments_treasurymovement;
DROP TRIGGER payments_adjustment_explains ON payments_adjustment;
DROP TRIGGER payments_reversal_explains ON payments_reversal;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_house_money")]
    operations = [
        migrations.RunSQL(VIEW, OLD_VIEW),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
