"""How notices are said: the words are put together where they are shown, of a kind and its facts.

An app that tells customers something registers how each of its kinds is said, so that a page, a
message on a socket, an e-mail and the admin all say the same, and another language could.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from users import rules

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody reads: a title, and a line more."""

    title: str
    body: str = ""


Speaker = Callable[[Facts], Words]
_speakers: dict[str, Speaker] = {}


def register_notices(speakers: Mapping[str, Speaker]) -> None:
    """Let kinds of notices be said.

    :param speakers: by kind; each takes what `notify` was given as facts
    """
    _speakers.update(speakers)


def knows(kind: str) -> bool:
    """Say whether a kind of notice can be said."""
    return kind in _speakers


def words_of(kind: str, facts: Facts) -> Words | None:
    """Say a notice, or None of a kind that nobody says any more."""
    speaker = _speakers.get(kind)
    return speaker(facts) if speaker else None


def _security(title: str) -> Speaker:
    words = Words(title, "If that was not you, open the mail we sent: its link undoes it.")
    return lambda _facts: words


NOTICES: dict[str, Speaker] = {
    f"security.{kind}": _security(act.title) for kind, act in rules.SECURITY_ACTS.items()
}
