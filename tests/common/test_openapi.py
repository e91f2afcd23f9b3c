"""The OpenAPI document says of every operation how it may be refused."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from common.errors import PROBLEM


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


class TestDocument:
    def test_knows_the_limits_and_the_outages_of_every_operation(
        self, document: dict[str, Any]
    ) -> None:
        for path, method, operation in operations(document):
            assert {"400", "429", "503"} <= operation["responses"].keys(), (method, path)

    def test_knows_of_every_body_that_it_may_be_refused(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            if "requestBody" in operation:
                assert {"413", "415", "422"} <= operation["responses"].keys(), (method, path)

    def test_says_every_refusal_as_a_problem(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    name = response["$ref"].rpartition("/")[2]
                    content = document["components"]["responses"][name]["content"]
                    assert list(content) == [PROBLEM], (method, path, status)

    def test_lets_strangers_read_the_market_and_nothing_else(
        self, document: dict[str, Any]
    ) -> None:
        open_to_all = {
            path for path, _, operation in operations(document) if {} in operation["security"]
        }
        assert all(
            path.startswith(("/api/v1/instruments", "/api/v1/status")) for path in open_to_all
        )
