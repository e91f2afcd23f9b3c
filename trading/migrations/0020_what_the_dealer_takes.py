"""How much the dealer takes from cards, how soon again, and how it hedges: policy like the rest."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import F, Q


def dollars(values):
    return ArrayField(models.PositiveIntegerField(), default=values)


def bounds(**more):
    positive = {"inventory_usd__gt": 0, "hedge_usd__gt": 0, "requote_bp__gt": 0, "jump_bp__gt": 0}
    return models.CheckConstraint(condition=Q(**positive, **more), name="house_bounds_positive")


FIELDS = {
    "hedge_stands_s": models.PositiveSmallIntegerField(default=3),
    "hedge_slippage_bp": models.PositiveSmallIntegerField(default=5),
    "refill_s": models.PositiveSmallIntegerField(default=60),
    "undo_s": models.PositiveSmallIntegerField(default=30),
    "card_intervals_s": dollars([60, 3_600, 86_400]),
    "card_customer_usd": dollars([5_000, 10_000, 25_000]),
    "card_instrument_usd": dollars([25_000, 100_000, 500_000]),
    "card_total_usd": dollars([100_000, 500_000, 2_000_000]),
}


class Migration(migrations.Migration):
    dependencies = [("trading", "0019_ages_of_commands")]
    operations = [
        *(
            migrations.AddField("housepolicy", name, field, preserve_default=False)
            for name, field in FIELDS.items()
        ),
        migrations.RemoveConstraint("housepolicy", "house_bounds_positive"),
        migrations.AddConstraint("housepolicy", bounds(hedge_stands_s__gt=0)),
        migrations.AddConstraint(
            "housepolicy",
            models.CheckConstraint(
                condition=Q(card_intervals_s__len__gt=0)
                & Q(card_customer_usd__len=F("card_intervals_s__len"))
                & Q(card_instrument_usd__len=F("card_intervals_s__len"))
                & Q(card_total_usd__len=F("card_intervals_s__len")),
                name="house_each_interval_its_limits",
            ),
        ),
        migrations.AddIndex(
            "trade",
            models.Index(
                fields=["executed_at"], condition=Q(venue="house"), name="trade_of_house"
            ),
        ),
    ]
