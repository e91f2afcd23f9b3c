"""Refuse a house that quotes at the reference itself, or hedges at any price."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("trading", "0027_explain_trades_once")]

    operations = [
        migrations.AddConstraint(
            model_name="housepolicy",
            constraint=models.CheckConstraint(
                condition=~Q(floor_bp__contains=[0])
                & ~Q(extended_bp__contains=[0])
                & ~Q(weekend_bp__contains=[0])
                & Q(hedge_slippage_bp__lt=1_000),
                name="house_gives_nothing_away",
            ),
        ),
    ]
