from django.db import migrations, models


class Migration(migrations.Migration):
    """Let quotes stand for as long as the house confirms them, and say so on the shard."""

    dependencies = [
        ("trading", "0021_explain_trades"),
    ]

    operations = [
        migrations.AddField(
            model_name="shard",
            name="quotes_confirmed_us",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="shard",
            name="quotes_until_us",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="housepolicy",
            name="quote_life_s",
            field=models.PositiveSmallIntegerField(default=5),
        ),
        migrations.AddConstraint(
            model_name="housepolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("quote_life_s__gte", 2), ("quote_life_s__lte", 3600)),
                name="house_quote_life",
            ),
        ),
    ]
