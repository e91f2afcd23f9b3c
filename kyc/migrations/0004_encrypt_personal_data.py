"""Names, birth dates, addresses and tax ids move from plain columns to encrypted ones."""

from django.db import migrations, models

from common.encryption import BlindIndex, EncryptedDate, EncryptedText

TEXTS = {
    "first_names": 120,
    "last_names": 120,
    "street": 200,
    "postal_code": 20,
    "city": 100,
    "tax_id": 40,
}
NAMES = (*TEXTS, "birth_date")
BATCH = 500


def encrypt(apps, schema_editor):
    _copy(apps, schema_editor, source="{}_plain", target="{}", more=["last_names_index"])


def decrypt(apps, schema_editor):
    _copy(apps, schema_editor, source="{}", target="{}_plain", more=[])


def _copy(apps, schema_editor, *, source, target, more):
    rows = apps.get_model("kyc", "Application").objects.using(schema_editor.connection.alias)
    for row in rows.order_by("pk").iterator(chunk_size=BATCH):
        for name in NAMES:
            setattr(row, target.format(name), getattr(row, source.format(name)))
        row.save(update_fields=[*map(target.format, NAMES), *more])


def encrypted(name):
    if name in TEXTS:
        return EncryptedText(bound_to="user_id", max_length=TEXTS[name])
    return EncryptedDate(bound_to="user_id")


def rename(name):
    return migrations.RenameField("application", name, f"{name}_plain")


def add(name):
    return migrations.AddField("application", name, encrypted(name))


def remove(name):
    return migrations.RemoveField("application", f"{name}_plain")


class Migration(migrations.Migration):
    dependencies = [("kyc", "0003_policy")]
    operations = [
        *map(rename, NAMES),
        *map(add, NAMES),
        migrations.AddField("application", "last_names_index", BlindIndex(of="last_names")),
        migrations.RunPython(encrypt, decrypt),
        *map(remove, NAMES),
        migrations.AddIndex(
            "application",
            models.Index(fields=["last_names_index"], name="application_by_last_names"),
        ),
    ]
