"""What trading costs whoever trades more: the tiers above the one the market opened with."""

from datetime import date
from decimal import Decimal

from django.db import migrations

SINCE = date(2026, 1, 1)
TIERS = (  # 30-day volume in dollars, maker, taker; even two of the best leave the house something
    ("50000", "-0.0002", "0.0009"),
    ("250000", "-0.00025", "0.0008"),
    ("1000000", "-0.0003", "0.0007"),
    ("5000000", "-0.00035", "0.0006"),
    ("25000000", "-0.0004", "0.0005"),
)


def add_tiers(apps, schema_editor):
    tiers = apps.get_model("trading", "FeeTier").objects.using(schema_editor.connection.alias)
    tiers.bulk_create(
        tiers.model(
            since=SINCE,
            min_volume_usd=Decimal(volume),
            maker_rate=Decimal(maker),
            taker_rate=Decimal(taker),
        )
        for volume, maker, taker in TIERS
    )


def remove_tiers(apps, schema_editor):
    tiers = apps.get_model("trading", "FeeTier").objects.using(schema_editor.connection.alias)
    volumes = [Decimal(volume) for volume, _, _ in TIERS]
    tiers.filter(since=SINCE, min_volume_usd__in=volumes).delete()


class Migration(migrations.Migration):
    dependencies = [("trading", "0004_daily_volume")]
    operations = [migrations.RunPython(add_tiers, remove_tiers)]
