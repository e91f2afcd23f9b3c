from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0018_withdrawn_commands'),
    ]

    operations = [
        migrations.AddField(
            model_name='command',
            name='stale_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='marketrule',
            name='market_max_age_s',
            field=models.PositiveIntegerField(default=5),
        ),
        migrations.AddField(
            model_name='marketrule',
            name='inbox_max_age_s',
            field=models.PositiveIntegerField(default=30),
        ),
    ]
