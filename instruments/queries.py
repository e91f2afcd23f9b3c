"""Questions about what may be traded."""

from django.db.models import Q, QuerySet

from common.database import read
from instruments.models import Instrument

ISSUER = "Backed Assets (JE) Limited, Jersey"  # of everything in xstocks.csv


def listed() -> QuerySet[Instrument]:
    """List what can be traded or watched, by symbol."""
    return Instrument.objects.filter(listed=True).order_by("symbol")


def by_symbol(symbol: str) -> Instrument:
    """Find a listed instrument, "AAPLx" or the market's "AAPLx/USD", in any case of letters.

    :raises Instrument.DoesNotExist: if nothing of that name is listed
    """
    if not symbol.isprintable():  # a NUL, say, which no database takes
        raise Instrument.DoesNotExist
    which = "WHERE listed AND upper(symbol) = upper(%s)"
    for instrument in read(Instrument, which, [symbol.removesuffix("/USD")]):
        return instrument
    raise Instrument.DoesNotExist


def search(*, text: str = "", kind: str = "") -> QuerySet[Instrument]:
    """List what matches a few letters of its name or symbol, or its whole ISIN.

    :param kind: "stock" or "etf"; anything else means both
    """
    found = listed()
    if kind in Instrument.Type.values:
        found = found.filter(type=kind)
    if text := text.strip():
        found = found.filter(
            Q(symbol__istartswith=text)
            | Q(name__icontains=text)
            | Q(isin__iexact=text)
            | Q(underlying_isin__iexact=text)
        )
    return found
