"""What instruments announce. Receivers run inside the announcing transaction."""

from django.dispatch import Signal

# instrument_id, before, after, splits, at: what base units stand for has changed, by a split or
# not, as was ordered at that time
multiplier_changed = Signal()
