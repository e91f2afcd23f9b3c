"""Debts that are open become claims on their customers' dollars."""

from django.db import migrations

CLAIM = """
CREATE TEMPORARY TABLE debts ON COMMIT DROP AS
    SELECT a.id AS account_id, owing.units - coalesce(reduced.units, 0) AS units
    FROM (
        SELECT c.user_id, sum(m.shortfall_units) AS units
        FROM spending_cardmovement m JOIN spending_card c ON c.id = m.card_id
        WHERE m.shortfall_units > 0 GROUP BY 1
    ) AS owing
    LEFT JOIN (
        SELECT user_id, sum(amount_units) AS units FROM spending_debtreduction GROUP BY 1
    ) AS reduced USING (user_id)
    JOIN ledger_account a ON a.owner_id = owing.user_id AND a.role = 'customer'
    JOIN ledger_asset s ON s.id = a.asset_id AND s.code = 'USD';
DELETE FROM debts WHERE units <= 0;
INSERT INTO ledger_hold (account_id, purpose) SELECT account_id, 'debt' FROM debts;
INSERT INTO ledger_claim (account_id, hold_id)
    SELECT h.account_id, max(h.id) FROM ledger_hold h JOIN debts d USING (account_id)
    WHERE h.purpose = 'debt' GROUP BY 1;
INSERT INTO ledger_claimentry (claim_id, delta)
    SELECT c.id, d.units FROM ledger_claim c JOIN debts d USING (account_id);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("spending", "0010_decide_checks_of_nothing"),
        ("ledger", "0006_claims"),
    ]
    operations = [migrations.RunSQL(CLAIM, migrations.RunSQL.noop)]
