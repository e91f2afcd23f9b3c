"""The one reader of JSON that strangers send: strict, and bounded in depth.

Two readers of one document must not understand different things. So a key that comes twice, half
of a surrogate pair, NUL (which no column keeps) and what is not JSON at all (NaN) are refused at
every door alike: REST, sign-in, webhooks and sockets.
"""

import json
import re
from typing import Any

from common.errors import DomainError

MAX_DEPTH = 32
UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(DomainError):
    """This cannot be read."""

    status = 400


def read(document: bytes | str) -> Any:
    """Read a JSON document, in UTF-8 where it is given as bytes.

    :raises Unreadable: if it isn't one, has a key twice in an object, is nested more than 32
        deep, or has text that cannot be kept: NUL, or half of a surrogate pair
    """
    try:
        decoded = document if isinstance(document, str) else document.decode()
        value = json.loads(decoded, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError as error:
        raise Unreadable(f"Nest objects and lists at most {MAX_DEPTH} deep.") from error
    except ValueError as error:  # of the decoder, of UTF-8, of a number with thousands of digits
        raise Unreadable(f"The body is not valid JSON in UTF-8: {error}"[:200]) from error
    _check(value)
    return value


def text(given: str) -> str:
    """Give a text that a column can keep.

    :raises Unreadable: if it has NUL, or half of a surrogate pair
    """
    if UNKEEPABLE.search(given):
        raise Unreadable("Texts cannot have NUL characters or half of a surrogate pair.")
    return given


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise Unreadable("A key comes twice in one object; send each once.")
    return read


def _no_constant(name: str) -> Any:
    raise Unreadable(f"{name} is not a number of JSON.")


def _check(value: Any) -> None:
    """Look at every text and at the depth, level by level, so that no depth is too deep to look."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        is_deeper = False
        for item in level:
            if isinstance(item, str):
                text(item)
            elif isinstance(item, list):
                is_deeper = True
                inner += item
            elif isinstance(item, dict):
                is_deeper = True
                inner += [*item, *item.values()]
        if not is_deeper:
            return
        level = inner
    raise Unreadable(f"Nest objects and lists at most {MAX_DEPTH} deep.")
