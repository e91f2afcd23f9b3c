"""The price bands the market opens with; staff add dated rows beside them."""

from datetime import date
from decimal import Decimal

from django.db import migrations

SINCE = date(2026, 1, 1)
WIDTHS = [(1, None, "0.05"), (2, None, "0.10"), (1, 3, "0.20"), (2, 3, "0.20")]


def set_bands(apps, schema_editor):
    rule = apps.get_model("trading", "BandRule")
    rule.objects.using(schema_editor.connection.alias).bulk_create(
        rule(since=SINCE, tier=tier, below_usd=below, width=Decimal(width))
        for tier, below, width in WIDTHS
    )


def unset_bands(apps, schema_editor):
    rules = apps.get_model("trading", "BandRule").objects.using(schema_editor.connection.alias)
    rules.filter(since=SINCE).delete()


class Migration(migrations.Migration):
    dependencies = [("trading", "0009_steering_markets")]
    operations = [migrations.RunPython(set_bands, unset_bands)]
