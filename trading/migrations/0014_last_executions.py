"""Orders from before executions were numbered on them: the newest stands for all that were told."""

from django.db import migrations

FORWARD = """
    UPDATE trading_order o SET execution = p.executions
    FROM trading_participant p
    WHERE p.executions > 0 AND o.id = (
        SELECT max(id) FROM trading_order
        WHERE customer_id = p.customer_id AND venue = 'book'
    )
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0013_numbered_executions")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
