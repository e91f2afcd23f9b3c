"""docs/security.md names a test for each promise: each of them is there."""

import re

import pytest

from tests.installation import ROOT

NAMED = re.compile(r"`((?:[a-z]+/)+test_\w+\.py)(?:::(\w+))?`")
TESTS = sorted(set(NAMED.findall((ROOT / "docs/security.md").read_text())))


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_promise_names_a_test_that_is_there(path, name):
    text = (ROOT / "tests" / path).read_text()
    assert f"class {name}" in text if name else "\ndef test" in text or "\n    def test" in text


def test_promises_name_tests():
    assert len(TESTS) > 30
