"""Explain trades without a look through everybody's dollars: the fee accounts are found once."""

from importlib import import_module

from django.db import migrations

before = import_module("trading.migrations.0021_explain_trades").EXPLAINED.split(";")[0]

FEES = """LEFT JOIN ledger_account f
        ON f.role = 'fees' AND f.asset_id = cash.asset_id AND f.owner_id IS NULL"""
OLD = before.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
NEW = OLD.replace(
    "trading_explained AS",
    """trading_explained AS
    WITH fees AS MATERIALIZED (
        SELECT id, asset_id FROM ledger_account WHERE owner_id IS NULL AND role = 'fees'
    )""",
).replace(FEES, "LEFT JOIN fees f ON f.asset_id = cash.asset_id")
assert "LEFT JOIN fees" in NEW


class Migration(migrations.Migration):
    dependencies = [("trading", "0024_silence_is_heard")]
    operations = [migrations.RunSQL(NEW, OLD)]
