from typing import Any

from django.core.management.base import BaseCommand

import kyc.operations
import users.operations

BATCH = 100
KEPT = {
    "customers' personal data, under the first of PERSONAL_DATA_KEYS": kyc.operations.rotate_keys,
    "second factors, under SECRET_KEY": users.operations.rotate_factors,
}


class Command(BaseCommand):
    help = "Encrypt anew, under the present keys, what is kept encrypted for years."

    def handle(self, *args: Any, **options: Any) -> None:
        for what, rotate in KEPT.items():
            last = 0
            while (reached := rotate(after=last, limit=BATCH)) is not None:
                last = reached
            self.stdout.write(f"Encrypted: {what}.")
        self.stdout.write("Older keys may be taken out of the environment.")
