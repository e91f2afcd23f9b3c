from typing import Any

from django.core.management.base import BaseCommand

from kyc import operations

BATCH = 100


class Command(BaseCommand):
    help = "Encrypt customers' personal data anew under the first of PERSONAL_DATA_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        last, batches = 0, 0
        while (reached := operations.rotate_keys(after=last, limit=BATCH)) is not None:
            last, batches = reached, batches + 1
        self.stdout.write(
            f"All personal data is encrypted under the first key now ({batches} batches of "
            f"{BATCH} at most). The others may be taken out of PERSONAL_DATA_KEYS."
        )
