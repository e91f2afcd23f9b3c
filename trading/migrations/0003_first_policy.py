"""The fees and bounds the market opens with; staff add dated rows beside them."""

from datetime import date
from decimal import Decimal

from django.db import migrations

SINCE = date(2026, 1, 1)


def open_market(apps, schema_editor):
    alias = schema_editor.connection.alias
    apps.get_model("trading", "FeeTier").objects.using(alias).create(
        since=SINCE, maker_rate=Decimal("-0.0002"), taker_rate=Decimal("0.001")
    )
    apps.get_model("trading", "MarketRule").objects.using(alias).create(
        since=SINCE,
        collar_open=Decimal("0.05"),
        collar_closed=Decimal("0.005"),
        reference_max_age_s=30,
        max_open_orders=200,
    )


def close_market(apps, schema_editor):
    alias = schema_editor.connection.alias
    for name in ("FeeTier", "MarketRule"):
        apps.get_model("trading", name).objects.using(alias).filter(since=SINCE).delete()


class Migration(migrations.Migration):
    dependencies = [("trading", "0002_market_rule")]
    operations = [migrations.RunPython(open_market, close_market)]
