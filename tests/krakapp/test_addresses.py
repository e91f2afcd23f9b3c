"""Every address of a page answers who reads it: with a page, or with the way to one."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import world
from tests.spending import shop
from tests.trading.floor import Floor

OURS = ("users", "kyc", "payments", "spending", "portfolio", "market", "trading")


def addresses(found: Any = None, before: str = "", app: str = "") -> Iterator[tuple[str, str]]:
    """Give (app, pattern) of every page of ours."""
    for one in found or get_resolver().url_patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from addresses(one.url_patterns, path, one.app_name or app)
        elif isinstance(one, URLPattern) and app in OURS and not path.startswith("api/"):
            yield app, path


@pytest.mark.django_db
def test_no_page_answers_a_reader_with_405(client: Client, friday: None) -> None:
    alice = world.alice()
    world.fund(alice, "1000")
    order = Floor().place(alice, "buy", quantity="1", limit_price="100")
    card = shop.card(alice)
    client.force_login(alice)
    posts, asked = [], 0
    for app, pattern in addresses():
        if "webhooks" in pattern:
            continue
        known = {
            "<uuid:uid>": str({"trading": order, "spending": card}.get(app, order).uid),
            "<str:symbol>": "AAPLx",
            "<int:pk>": "1",
            "<str:token>": "x",
            "<slug:name>": "name",
            "<slug:document>": "terms",
        }
        path = "/" + pattern
        for sign, value in known.items():
            path = path.replace(sign, value)
        assert "<" not in path, f"say what stands for {path}"
        asked += 1
        if client.get(path).status_code == 405:
            posts.append(path)
    assert posts == []
    assert asked > 30


@pytest.mark.django_db
class TestReadingWhereOneWrites:
    @pytest.fixture
    def alice(self, client: Client) -> Any:
        client.force_login(world.alice())
        return world.alice()

    @pytest.mark.parametrize(
        ("address", "page"),
        [
            ("/markets/AAPLx/place/", "/markets/AAPLx/"),
            ("/markets/AAPLx/star/", "/markets/AAPLx/"),
            ("/orders/cancel-all/", "/orders/"),
            ("/cards/issue/", "/cards/"),
            ("/settings/notices/read/", "/settings/"),
            ("/settings/devices/7/end/", "/accounts/sessions/"),
        ],
    )
    def test_leads_to_the_page(self, client: Client, alice: Any, address: str, page: str) -> None:
        assert client.get(address).url == page

    def test_keeps_the_order(self, client: Client, alice: Any) -> None:
        uid = uuid4()
        assert client.get(f"/orders/{uid}/amend/").url == f"/orders/{uid}/"

    def test_leaves_other_methods_refused(self, client: Client, alice: Any) -> None:
        answer = client.put("/orders/cancel-all/")
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")
