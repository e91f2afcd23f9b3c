"""What trading announces. Receivers run inside the announcing transaction."""

from django.dispatch import Signal

# trade_ids: the trades just settled, of either venue
trades_settled = Signal()
