"""Refuse rebates above fees, and limits of the dealer's over no time."""

from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("trading", "0025_find_fees_once")]

    operations = [
        migrations.AddConstraint(
            model_name="feetier",
            constraint=models.CheckConstraint(
                condition=Q(maker_rate__gte=-F("taker_rate"), maker_rate__lt=1, taker_rate__lt=1),
                name="fee_tier_rebate_is_paid",
            ),
        ),
        migrations.AddConstraint(
            model_name="housepolicy",
            constraint=models.CheckConstraint(
                condition=Q(refill_s__gt=0) & ~Q(card_intervals_s__contains=[0]),
                name="house_intervals_positive",
            ),
        ),
    ]
