"""Keep no subject of a mail in clear: some carry a code."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('users', '0009_first_call_limits'),
    ]

    operations = [
        migrations.AlterField(  # so that it can come back, empty
            model_name='mail',
            name='subject',
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.RemoveField(
            model_name='mail',
            name='subject',
        ),
        migrations.AddField(
            model_name='mail',
            name='about',
            field=models.CharField(blank=True, max_length=64),
        ),
    ]
