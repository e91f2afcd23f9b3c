"""What payments announce."""

from django.dispatch import Signal

deposit_completed = Signal()
"""Money is in, inside the transaction that posts it: `sender=DepositInstruction, instruction`."""
