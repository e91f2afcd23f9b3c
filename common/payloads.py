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


class JsonMalformed(DomainError):
    """The body is not valid JSON."""

    status = 400


def read(document: bytes | str) -> Any:
    """Read a JSON document, in UTF-8 where it is given as bytes.

    :raises JsonMalformed: if it isn't one, has a key twice in an object, is nested more than 32
        deep, or has text that cannot be kept: NUL, or half of a surrogate pair
    """
    try:
        text = document if isinstance(document, str) else document.decode()
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError as error:
        raise JsonMalformed(f"Nest objects and lists at most {MAX_DEPTH} deep.") from error
    except ValueError as error:  # of the decoder, of UTF-8, of a number with thousands of digits
        raise JsonMalformed(f"The body is not valid JSON in UTF-8: {error}"[:200]) from error
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise JsonMalformed("A key comes twice in one object; send each once.")
    return read


def _no_constant(name: str) -> Any:
    raise JsonMalformed(f"{name} is not a number of JSON.")


def _check(value: Any) -> None:
    """Look at every text and at the depth, level by level, so that no depth is too deep to look."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        is_deeper = False
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, list):
                is_deeper = True
                inner += item
            elif isinstance(item, dict):
                is_deeper = True
                inner += [*item, *item.values()]
        if not is_deeper:
            return
        level = inner
    raise JsonMalformed(f"Nest objects and lists at most {MAX_DEPTH} deep.")


def _check_text(text: str) -> None:
    if UNKEEPABLE.search(text):
        raise JsonMalformed("Texts cannot have NUL characters or half of a surrogate pair.")
