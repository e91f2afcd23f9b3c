import asyncio
from typing import Any

import pytest

from krakapp.proxies import BehindProxies, address_of, elements

PROXY, INNER, CLIENT = "10.0.0.7", "10.0.0.8", "192.0.2.60"


def seen(peer: str = PROXY, kind: str = "http", **headers: str) -> tuple[str, str]:
    """Give the (address, scheme) that the platform sees of a request."""
    scopes: list[dict[str, Any]] = []

    async def platform(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        scopes.append(scope)

    scope = {
        "type": kind,
        "client": (peer, 4711),
        "scheme": "http" if kind == "http" else "ws",
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode("latin-1"))
            for name, value in headers.items()
        ],
    }
    asyncio.run(BehindProxies(platform, ["10.0.0.0/8", "2001:db8::/32"])(scope, None, None))
    return scopes[0]["client"][0], scopes[0]["scheme"]


class TestTheClient:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X_Forwarded_For": CLIENT},
            {"X_Forwarded_For": f"{CLIENT}:4711"},
            {"X_Forwarded_For": f"203.0.113.9, {CLIENT}"},  # who calls may write what they like
            {"X_Forwarded_For": f"127.0.0.1, {CLIENT}, {INNER}"},
            {"X_Forwarded_For": f"junk, {CLIENT}"},
            {"Forwarded": f"for={CLIENT}"},
            {"Forwarded": f'For="{CLIENT}:4711";proto=http'},
            {"Forwarded": f"for=203.0.113.9, for={CLIENT}, for={INNER}"},
            {"Forwarded": f"for={CLIENT}", "X_Forwarded_For": CLIENT},
            {"X_Forwarded_For": f"::ffff:{CLIENT}"},
        ],
    )
    def test_is_the_last_that_no_trusted_proxy_is(self, headers: dict[str, str]) -> None:
        assert seen(**headers)[0] == CLIENT

    @pytest.mark.parametrize(
        ("header", "address"),
        [
            ("2001:db9::17", "2001:db9::17"),
            ("[2001:db9::17]:4711", "2001:db9::17"),
            ("2001:db9::17, 2001:db8::1", "2001:db9::17"),
        ],
    )
    def test_may_be_an_ipv6_one(self, header: str, address: str) -> None:
        assert seen(X_Forwarded_For=header)[0] == address
        assert seen(Forwarded=f'for="[{address}]"')[0] == address

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X_Forwarded_For": ""},
            {"X_Forwarded_For": "unknown"},
            {"X_Forwarded_For": f"{CLIENT}, _hidden"},
            {"Forwarded": "for=unknown"},
            {"Forwarded": "nonsense"},
            {"Forwarded": f"for={CLIENT};=;"},
            {"X_Forwarded_For": f"{CLIENT}, 999.1.1.1"},
        ],
    )
    def test_is_the_proxy_where_it_says_nothing_sound(self, headers: dict[str, str]) -> None:
        assert seen(**headers)[0] == PROXY

    def test_is_the_proxy_where_two_headers_contradict_each_other(self) -> None:
        """A proxy wrote one of them, the client the other: which is which, nobody can say."""
        forged = {"Forwarded": "for=203.0.113.9", "X_Forwarded_For": CLIENT}
        assert seen(**forged)[0] == PROXY

    def test_is_who_calls_where_no_proxy_is_trusted(self) -> None:
        assert seen(CLIENT, X_Forwarded_For="203.0.113.9")[0] == CLIENT
        assert seen(CLIENT, Forwarded="for=203.0.113.9")[0] == CLIENT

    def test_of_a_socket_is_found_too(self) -> None:
        assert seen(kind="websocket", X_Forwarded_For=CLIENT) == (CLIENT, "ws")

    def test_is_not_looked_for_without_end(self) -> None:
        assert seen(X_Forwarded_For=", ".join([CLIENT, *[INNER] * 40]))[0] == INNER


class TestTheScheme:
    @pytest.mark.parametrize(
        ("headers", "scheme"),
        [
            ({"X_Forwarded_Proto": "https"}, "https"),
            ({"X_Forwarded_Proto": "http, https"}, "https"),
            ({"Forwarded": f"for={CLIENT};proto=https"}, "https"),
            ({"X_Forwarded_Proto": "gopher"}, "http"),
        ],
    )
    def test_is_what_the_proxy_says(self, headers: dict[str, str], scheme: str) -> None:
        assert seen(**headers)[1] == scheme
        assert seen(CLIENT, **headers)[1] == "http"

    def test_of_a_socket_is_its_own(self) -> None:
        assert seen(kind="websocket", X_Forwarded_Proto="https")[1] == "wss"


class TestReading:
    @pytest.mark.parametrize("text", ["", " ", "1.2.3", "1.2.3.4.5", "::g", "[::1", "a.example:80"])
    def test_takes_nothing_else_for_an_address(self, text: str) -> None:
        assert address_of(text) is None

    def test_splits_elements_but_not_within_quotes(self) -> None:
        said = 'for="[2001:db8::1]:80";by="a,b;c", for=192.0.2.1'
        assert elements(said) == [
            {"for": "2001:db8::1", "by": "a,b;c"},
            {"for": "192.0.2.1"},
        ]
