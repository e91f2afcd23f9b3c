"""A dropped column stays in the table's pages until they are written anew."""

from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # VACUUM refuses to run in a transaction
    dependencies = [("kyc", "0004_encrypt_personal_data")]
    operations = [
        migrations.RunSQL("VACUUM (FULL, ANALYZE) kyc_application", migrations.RunSQL.noop),
    ]
