"""Journals of cards move what one card movement says: of its customer, of its amount, no more.

Looked at when the transaction ends, from both sides: of a journal, and of a row that claims one.
"""

from django.db import migrations

# A refund's part that came from the network itself, and not from what it owes us, is known by its
# journal alone; its sum and its customer are the row's.
EXPLAINED = """
CREATE VIEW spending_explained AS
    SELECT m.journal_id, ('card_' || m.kind)::varchar AS kind, leg.debit_id, leg.credit_id, leg.amount
    FROM spending_cardmovement m
    JOIN spending_card c ON c.id = m.card_id
    JOIN ledger_asset usd ON usd.code = 'USD'
    JOIN ledger_account cash
        ON cash.role = 'customer' AND cash.owner_id = c.user_id AND cash.asset_id = usd.id
    JOIN ledger_account settlement
        ON settlement.role = 'card_settlement' AND settlement.asset_id = usd.id
    LEFT JOIN ledger_account fees ON fees.role = 'fees' AND fees.asset_id = usd.id
    LEFT JOIN ledger_account outside ON outside.role = 'external' AND outside.asset_id = usd.id
    LEFT JOIN LATERAL (
        SELECT sum(t.amount)::bigint AS amount FROM ledger_transfer t
        WHERE t.journal_id = m.journal_id AND t.debit_id = outside.id AND m.kind = 'refund'
    ) AS beyond ON true
    CROSS JOIN LATERAL (VALUES
        ('clearing', cash.id, settlement.id, m.amount_units - m.shortfall_units),
        ('clearing', fees.id, settlement.id, m.shortfall_units),
        ('refund', settlement.id, cash.id, m.amount_units - coalesce(beyond.amount, 0)),
        ('refund', outside.id, cash.id, beyond.amount)
    ) AS leg(kind, debit_id, credit_id, amount)
    WHERE leg.kind = m.kind AND leg.amount > 0;
REVOKE ALL ON spending_explained FROM krakapp_app;
GRANT SELECT ON spending_explained TO krakapp_app;
"""

GUARD = """
CREATE CONSTRAINT TRIGGER spending_journals_explained AFTER INSERT ON ledger_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ('card_clearing', 'card_refund'))
    EXECUTE FUNCTION ledger_require_explained('spending_explained');
CREATE CONSTRAINT TRIGGER spending_movement_explains AFTER INSERT OR UPDATE ON spending_cardmovement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('spending_explained');
REVOKE UPDATE, DELETE, TRUNCATE ON spending_cardmovement FROM krakapp_app;
INSERT INTO ledger_journalkind (name, guard) VALUES
    ('card_clearing', 'spending_journals_explained'), ('card_refund', 'spending_journals_explained')
    ON CONFLICT (name) DO UPDATE SET guard = excluded.guard;
"""

NO_GUARD = """
UPDATE ledger_journalkind SET guard = '' WHERE guard = 'spending_journals_explained';
DROP TRIGGER spending_journals_explained ON ledger_journal;
DROP TRIGGER spending_movement_explains ON spending_cardmovement;
GRANT UPDATE, DELETE, TRUNCATE ON spending_cardmovement TO krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("spending", "0003_remember_what_was_said"),
        ("ledger", "0004_journal_kinds"),
    ]
    operations = [
        migrations.RunSQL(EXPLAINED, "DROP VIEW spending_explained"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
