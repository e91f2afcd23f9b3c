"""What verification announces."""

from django.dispatch import Signal

status_changed = Signal()
"""An application moved, inside its transaction: `sender=Application, application, before` it."""
