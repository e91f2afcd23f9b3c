"""How numbers are read and written on a page; the tags of `components` are made of these.

A value is an `Amount`, a Decimal or decimal string of wholes, or an int of the asset's smallest
units; None is unknown.
"""

from decimal import Decimal, InvalidOperation

from django.utils.safestring import SafeString

from common.money import Amount

Value = Amount | Decimal | str | int | None

MINUS = "\N{MINUS SIGN}"
SCALES = {"USD": 6}
SHARE_SCALE = 8
HUNDREDTH = Decimal("0.01")


def read(value: Value, code: str) -> tuple[Decimal, str] | None:
    """Give the wholes and the asset's code, or None for what isn't known."""
    if isinstance(value, Amount):
        return value.decimal, value.asset.code
    if isinstance(value, int):
        return Decimal(value).scaleb(-SCALES.get(code, SHARE_SCALE)), code
    try:
        return (Decimal(value), code) if value not in (None, "") else None
    except InvalidOperation:
        return None


def sign_of(number: Decimal, *, signed: bool) -> str:
    """Write the sign: minus always, plus where a change is meant."""
    if number < 0:
        return MINUS
    return "+" if signed and number > 0 else ""


def dollars(number: Decimal, *, signed: bool, decimals: int, rounding: str) -> SafeString:
    """Write dollars in parts for the styles to weigh; a crumb is "<$0.01", not nothing."""
    crumb = Decimal(1).scaleb(-decimals)
    shown = abs(number.quantize(crumb, rounding))
    small = "<" if number and not shown else ""
    whole, _, cents = f"{shown or (crumb if small else shown):,f}".partition(".")
    return SafeString(  # digits and signs: there is nothing to escape
        f'<span class="money-sign">{small and "&lt;"}{sign_of(number, signed=signed)}</span>'
        f'<span class="money-currency">$</span>{whole}<span class="money-cents">.{cents}</span>'
    )


def tone_of(difference: Decimal | float) -> str:
    """Name the tone of a difference: up, down or flat."""
    return "up" if difference > 0 else "down" if difference < 0 else "flat"
