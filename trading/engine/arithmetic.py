"""The engine's sums. Every rounding is named: costs and fees round toward zero, holds round up."""

from math import gcd

PPM = 1_000_000


def cost_fraction(
    tick_num: int, tick_den: int, base_scale: int, multiplier_e18: int
) -> tuple[int, int]:
    """Return (num, den) so that ticks * base * num // den is the cost in USD units."""
    num = tick_num * multiplier_e18 * PPM
    den = tick_den * 10**base_scale * 10**18
    shared = gcd(num, den)
    return num // shared, den // shared


def fee_of(cost: int, ppm: int) -> int:
    """Return the fee (or, negative, the rebate) on a cost, rounded toward zero."""
    return cost * ppm // PPM if ppm >= 0 else -(cost * -ppm // PPM)


def buy_need(quantity: int, rate: int, den: int, ppm: int) -> int:
    """Return the USD units that buying `quantity` at `rate / den` each can cost at most.

    `rate` is price * num; the fee rate counts when it is a fee, not when it is a rebate. Rounded
    up once, so that fills, each rounded toward zero, never add up to more.
    """
    factor = PPM + ppm if ppm > 0 else PPM
    return -(-quantity * rate * factor // (den * PPM))


def covers(budget: int, quantity: int, rate: int, den: int, ppm: int) -> bool:
    """Tell whether a budget is at least the `buy_need`; without a division, it is asked often."""
    factor = PPM + ppm if ppm > 0 else PPM
    return budget * den * PPM >= quantity * rate * factor


def quantity_within(money: int, rate: int, den: int) -> int:
    """Return the largest quantity of which even the exact cost is within `money`."""
    return money * den // rate


def affordable(budget: int, rate: int, den: int, ppm: int) -> int:
    """Return the largest quantity whose `buy_need` is within `budget`."""
    factor = PPM + ppm if ppm > 0 else PPM
    return budget * den * PPM // (rate * factor)
