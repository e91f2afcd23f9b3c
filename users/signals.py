"""What is announced about people."""

from django.dispatch import Signal

access_changed = Signal()
"""Somebody may sign in no longer, or again, inside its transaction: `sender=User, user`."""
