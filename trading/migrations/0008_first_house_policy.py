"""How the house quotes from the first day on; staff add dated rows beside it."""

from datetime import date

from django.db import migrations

SINCE = date(2026, 1, 1)


def begin(apps, schema_editor):
    apps.get_model("trading", "HousePolicy").objects.using(schema_editor.connection.alias).create(
        since=SINCE,
        floor_bp=[8, 12, 18, 25, 35],
        extended_bp=[12, 18, 25, 35, 50],
        weekend_bp=[20, 30, 40, 55, 75],
        sizes_usd=[5_000, 10_000, 20_000, 30_000, 40_000],
        requote_bp=6,
        skew="0.75",
        inventory_usd=500_000,
        jump_bp=1_000,
        jump_calm_s=60,
        hedge_usd=5_000,
    )


def end(apps, schema_editor):
    policies = apps.get_model("trading", "HousePolicy").objects
    policies.using(schema_editor.connection.alias).filter(since=SINCE).delete()


class Migration(migrations.Migration):
    dependencies = [("trading", "0007_house_policy")]
    operations = [migrations.RunPython(begin, end)]
