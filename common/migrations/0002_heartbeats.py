from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('common', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('part', models.CharField(max_length=48, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(
            'ALTER TABLE common_heartbeat SET UNLOGGED, SET (fillfactor = 50)',
            'ALTER TABLE common_heartbeat SET LOGGED, RESET (fillfactor)',
        ),
    ]
