"""An index for the sweep that tells of orders which wait on after a part or their firing."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0031_find_closed_orders")]
    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(
                    models.Q(("filled__gt", 0), ("engine_state__triggered", True), _connector="OR"),
                    ("customer__isnull", False),
                    ("status__in", ("pending", "open", "partially_filled")),
                    ("venue", "book"),
                ),
                fields=["placed_at"],
                name="order_noteworthy",
            ),
        ),
    ]
