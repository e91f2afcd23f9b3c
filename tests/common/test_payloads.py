"""The strict reader of JSON, against what attackers send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import payloads
from common.payloads import Unreadable


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


class TestRead:
    @given(VALUES)
    def test_reads_what_was_written(self, value: object) -> None:
        assert payloads.read(json.dumps(value)) == value
        assert payloads.read(json.dumps(value, ensure_ascii=False).encode()) == value

    def test_reads_what_is_nested_as_deep_as_allowed(self) -> None:
        assert payloads.read(nested(32))
        assert payloads.read(b'{"a":' * 32 + b"1" + b"}" * 32)

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (b"", "not valid JSON"),
            (b"{", "not valid JSON"),
            (b"{'a': 1}", "not valid JSON"),
            (b"\xff", "not valid JSON"),
            (b'{"a": 1}\x00', "not valid JSON"),
            ('{"a": 1}'.encode("utf-16"), "not valid JSON"),
            (b"1" * 5000, "not valid JSON"),
            (b"[NaN]", "NaN is not a number"),
            (b"[-Infinity]", "-Infinity is not a number"),
            (b'{"amount": "1", "amount": "1000"}', "comes twice"),
            (b'[{"a": {"b": 1, "\\u0062": 2}}]', "comes twice"),
            (b'"\\u0000"', "NUL"),
            (b'{"a\\u0000": 1}', "NUL"),
            (b'["\\ud800"]', "surrogate"),
            (b'"\\udc00\\ud800"', "surrogate"),
            (nested(33), "at most 32 deep"),
            (b'{"a":' * 33 + b"1" + b"}" * 33, "at most 32 deep"),
            (nested(50_000), "at most 32 deep"),
            (b"[" * 50_000, "at most 32 deep"),
            (b'{"a":' * 50_000, "at most 32 deep"),
        ],
        ids=lambda value: repr(value[:24]),
    )
    def test_refuses(self, document: bytes, words: str) -> None:
        with pytest.raises(Unreadable, match=words):
            payloads.read(document)

    def test_refuses_a_lone_surrogate_that_a_socket_passed_on(self) -> None:
        with pytest.raises(Unreadable, match="surrogate"):
            payloads.read('{"method": "\ud800"}')
