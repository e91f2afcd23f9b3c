"""People are found by any words of their names, not by the whole of their last names."""

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations

from common.encryption import BlindIndex, BlindWords

BATCH = 500


def index(apps, schema_editor):
    rows = apps.get_model("kyc", "Application").objects.using(schema_editor.connection.alias)
    for row in rows.order_by("pk").iterator(chunk_size=BATCH):
        row.save(update_fields=["names_index"])


class Migration(migrations.Migration):
    dependencies = [("kyc", "0006_restrict_permission")]
    operations = [
        migrations.RemoveIndex("application", "application_by_last_names"),
        migrations.AddField(
            "application", "names_index", BlindWords(of=("first_names", "last_names"))
        ),
        migrations.RunPython(index, migrations.RunPython.noop),
        migrations.RemoveField("application", "last_names_index"),
        migrations.AddIndex(
            "application", GinIndex(fields=["names_index"], name="application_by_names")
        ),
    ]
