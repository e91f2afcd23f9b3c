"""Where the product is not offered: the policy as of its launch, for staff to keep up to date."""

from datetime import date

from django.db import migrations

LAUNCH = date(2025, 6, 30)

US = "Tokenized shares are not offered to people with ties to the United States."
UNLICENSED = "Tokenized shares are not offered to residents of {}."
SANCTIONED = "Sanctions and restrictions keep us from serving {} of {}."

US_TERRITORIES = ["US", "AS", "GU", "MP", "PR", "UM", "VI"]
NOT_OFFERED = {"AU": "Australia", "CA": "Canada", "GB": "the United Kingdom"}
RESTRICTED = {
    "AF": "Afghanistan",
    "BY": "Belarus",
    "CU": "Cuba",
    "HT": "Haiti",
    "IQ": "Iraq",
    "IR": "Iran",
    "KP": "North Korea",
    "LB": "Lebanon",
    "LY": "Libya",
    "ML": "Mali",
    "MM": "Myanmar",
    "RU": "Russia",
    "SD": "Sudan",
    "SO": "Somalia",
    "SS": "South Sudan",
    "SY": "Syria",
    "VE": "Venezuela",
    "YE": "Yemen",
}


def policy():
    """Give every (country, ground, reason)."""
    for code in US_TERRITORIES:
        yield code, "residence", US
        yield code, "tax_residence", US
    yield "US", "citizenship", US
    yield "US", "us_person", US
    for code, name in NOT_OFFERED.items():
        yield code, "residence", UNLICENSED.format(name)
    for code, name in RESTRICTED.items():
        yield code, "residence", SANCTIONED.format("residents", name)
        yield code, "citizenship", SANCTIONED.format("citizens", name)


def write_policy(apps, schema_editor):
    """Write the rows that are not there."""
    places = apps.get_model("kyc", "RestrictedPlace").objects.using(schema_editor.connection.alias)
    for country, ground, reason in policy():
        places.get_or_create(
            country=country, ground=ground, since=LAUNCH, defaults={"reason": reason}
        )


class Migration(migrations.Migration):
    dependencies = [("kyc", "0002_review_permission_and_us_person")]

    operations = [migrations.RunPython(write_policy, migrations.RunPython.noop)]
