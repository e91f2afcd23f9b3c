from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0005_price_counts_by_multiplier'),
    ]

    operations = [
        migrations.AddField(
            model_name='tapetrade',
            name='simulated',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
