"""A notice keeps what happened; its words are put together where it is shown.

Of what was told before, the words are kept as facts.
"""

from django.db import migrations, models

KEEP = """
UPDATE users_notice SET facts = jsonb_build_object('said', jsonb_build_array(title, body));
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0013_simulated_customers")]
    operations = [
        migrations.AddField(
            model_name="notice", name="facts", field=models.JSONField(default=dict)
        ),
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="notice", name="title"),
        migrations.RemoveField(model_name="notice", name="body"),
    ]
