"""Look at what explains a journal by queries planned once, which find house accounts by key.

Only the house's accounts have these roles. An index begins with the owner, so a view that does not
say that they have none would look through everybody's dollars.
"""

from importlib import import_module

from django.db import migrations

movements = import_module("spending.migrations.0004_explain_card_movements").EXPLAINED
recoveries = import_module("spending.migrations.0007_explain_recoveries").EXPLAINED

HOUSE = ("settlement", "fees", "outside")


def replacing(made: str) -> str:
    """Give the statement that makes a view anew."""
    return made.split(";")[0].replace("CREATE VIEW", "CREATE OR REPLACE VIEW")


def by_key(view: str) -> str:
    """Say of each house account that it has no owner."""
    for name in HOUSE:
        view = view.replace(f" {name}.role = ", f" {name}.owner_id IS NULL AND {name}.role = ")
    return view


class Migration(migrations.Migration):
    dependencies = [("spending", "0007_explain_recoveries"), ("ledger", "0005_plan_guards_once")]
    operations = [
        migrations.RunSQL(by_key(old), old) for old in map(replacing, (movements, recoveries))
    ] + [
        migrations.RunSQL(
            f"CALL ledger_plan_guard('{view}')", f"DROP FUNCTION {view}_differs(bigint[])"
        )
        for view in ("spending_explained", "spending_recoveries_explained")
    ]
