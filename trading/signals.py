"""What trading announces. Receivers run inside the announcing transaction."""

from django.dispatch import Signal

# trade_ids: the trades just settled, of either venue
trades_settled = Signal()

# customer, instrument, quantity (base units), proceeds (USD units, less the fee): a sale that is
# only looked at. A receiver returns the USD units that it would gain (-: lose), None if unknown.
sale_considered = Signal()
