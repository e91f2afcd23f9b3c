from django.db import migrations, models

# Of several cancels of one order that wait, the first is enough.
WITHDRAW_REPEATED = """
UPDATE trading_command c SET result = 'withdrawn', reason = 'repeated'
WHERE c.kind = 'cancel' AND c.sequence IS NULL AND EXISTS (
    SELECT FROM trading_command b
    WHERE b.order_id = c.order_id AND b.kind = 'cancel' AND b.sequence IS NULL AND b.id < c.id
)
"""
WAIT_AGAIN = """
UPDATE trading_command SET result = '', reason = ''
WHERE result = 'withdrawn' AND reason = 'repeated'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0017_halt_permission'),
    ]

    operations = [
        migrations.RunSQL(WITHDRAW_REPEATED, WAIT_AGAIN),
        migrations.RemoveIndex(
            model_name='command',
            name='command_inbox',
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('result', ''), ('sequence__isnull', True)), fields=['shard', 'id'], name='command_inbox'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'cancel'), ('result', ''), ('sequence__isnull', True)), fields=('order',), name='command_cancel_waits_once'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('result', 'withdrawn'), _negated=True), ('sequence__isnull', True), _connector='OR'), name='command_withdrawn_without_sequence'),
        ),
    ]
