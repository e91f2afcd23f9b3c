from django.db import migrations, models

# 80 rows of 80 bytes, each written once a second: a page that is nine tenths empty takes the new
# versions of its rows, and what is dead is cleaned as it is met. Vacuum comes by the number of rows,
# as a share of so few it would come each second.
ROOM = """
ALTER TABLE market_referenceprice SET (
    fillfactor = 10, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_analyze_threshold = 100000, autovacuum_analyze_scale_factor = 0
);
"""
NO_ROOM = """
ALTER TABLE market_referenceprice RESET (
    fillfactor, autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor,
    autovacuum_analyze_threshold, autovacuum_analyze_scale_factor
);
"""


class Migration(migrations.Migration):
    """Make the reference prices a table that is written each second, and that money goes by."""

    dependencies = [
        ("market", "0003_exchange_day"),
    ]

    operations = [
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.AddConstraint(
            model_name="referenceprice",
            constraint=models.CheckConstraint(
                condition=models.Q(("price__gt", 0), ("price__lt", 10**10)),
                name="reference_price_possible",
            ),
        ),
    ]
