"""How far trades may be from the reference price."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading.models import BandRule


@dataclass(frozen=True, slots=True)
class BandPolicy:
    """The rules in force at a moment, by tier: the narrowest range of prices first."""

    rules: dict[int, list[BandRule]]

    @classmethod
    def at(cls, now: datetime) -> "BandPolicy":
        """Read, of each kind of rule, the latest that has begun."""
        begun = BandRule.objects.filter(since__lte=now.date()).order_by(
            "tier", "below_usd", "-since"
        )
        by_tier: dict[int, list[BandRule]] = {}
        for rule in begun.distinct("tier", "below_usd"):  # nulls last
            by_tier.setdefault(rule.tier, []).append(rule)
        return cls(by_tier)

    def rule(self, tier: int, price: Decimal | None) -> BandRule | None:
        """Give the rule for a price; without one, the rule for any price; None if there is none."""
        for rule in self.rules.get(tier, []):
            if rule.below_usd is None or (price is not None and price < rule.below_usd):
                return rule
        return None
