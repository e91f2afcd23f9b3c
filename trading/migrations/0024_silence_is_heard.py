from django.db import migrations


class Migration(migrations.Migration):
    """Heartbeats tell when the house is silent; the shard need not."""

    dependencies = [
        ("trading", "0023_guard_multiplier_commands"),
    ]

    operations = [
        migrations.RemoveField(model_name="shard", name="quotes_confirmed_us"),
    ]
