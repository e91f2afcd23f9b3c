from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('users', '0012_tell_once_and_by_mail'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='simulated',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('simulated', False), models.Q(('is_staff', False), ('is_superuser', False)), _connector='OR'), name='user_simulated_is_a_customer'),
        ),
    ]
