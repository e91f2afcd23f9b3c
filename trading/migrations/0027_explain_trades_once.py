"""Ask once, and not twice, what a batch of trades explains."""

from importlib import import_module

from django.db import migrations

before = import_module("trading.migrations.0021_explain_trades").GUARD

OLD = before[: before.index("REVOKE")].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
_condition = OLD[OLD.index("    IF journals") : OLD.index("        RAISE EXCEPTION")]
NEW = OLD.replace(
    _condition,
    """    IF journals = '{}' THEN
        RETURN NULL;
    END IF;
    IF (
        WITH moved AS MATERIALIZED (
            SELECT journal_id, debit_id, credit_id, amount FROM public.ledger_transfer
            WHERE journal_id = ANY (journals)
        ), said AS MATERIALIZED (
            SELECT journal_id, debit_id, credit_id, amount FROM public.trading_explained
            WHERE journal_id = ANY (journals)
        )
        SELECT (SELECT count(*) FROM moved) <> (SELECT count(*) FROM said)
            OR EXISTS (TABLE moved EXCEPT ALL TABLE said)
    ) THEN
""",
)


class Migration(migrations.Migration):
    dependencies = [("trading", "0026_policies_that_give_nothing_away")]
    operations = [migrations.RunSQL(NEW, OLD)]
