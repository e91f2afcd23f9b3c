"""Write the limits that the platform begins with."""

from datetime import date

from django.db import migrations

SINCE = date(2026, 1, 1)
LIMITS = [  # kind, scope, capacity, leaks per second
    ("reads", "address", 1200, 60),
    ("reads", "customer", 600, 20),
    ("writes", "address", 300, 20),
    ("writes", "customer", 200, 10),
    ("orders", "customer", 250, 5),
    ("uploads", "address", 60, "0.1"),
    ("uploads", "customer", 30, "0.05"),
    ("webhooks", "address", 2000, 500),
    ("sockets", "address", 120, 2),
    ("open_sockets", "address", 100, 0),
    ("open_sockets", "customer", 20, 0),
    ("messages", "address", 200, 20),
    ("waiting", "customer", 500, 0),
]


def write(apps, schema_editor):
    """Write them."""
    apps.get_model("users", "CallLimit").objects.bulk_create(
        apps.get_model("users", "CallLimit")(
            kind=kind, scope=scope, since=SINCE, capacity=capacity, per_second=per_second
        )
        for kind, scope, capacity, per_second in LIMITS
    )


def take_back(apps, schema_editor):
    """Take them out again."""
    apps.get_model("users", "CallLimit").objects.filter(since=SINCE).delete()


class Migration(migrations.Migration):
    dependencies = [("users", "0008_call_limits")]

    operations = [migrations.RunPython(write, take_back)]
