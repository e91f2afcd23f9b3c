"""Who the client is behind proxies: by what those of `TRUSTED_PROXIES` say, and nobody else.

A proxy appends the address that it was called from to `X-Forwarded-For`, or to `Forwarded`
(RFC 7239), and passes the rest on as it came, forged or not. So the addresses are read from the
right, as far as trusted proxies wrote them. Where both headers come and do not agree, one of them
came from the client: then neither counts, and the client is the proxy itself.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("[^"]*"|[^",;\s]+)\s*')
HOST = re.compile(
    r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?|([0-9A-Fa-f:]+[0-9A-Fa-f:.]*)"
)
SCHEMES = {"http", "https"}
MOST_HOPS = 20  # a longer chain is no chain of proxies


class BehindProxies:
    """Passes requests and sockets on with the client's address and scheme in them."""

    def __init__(self, app: App, trusted: Sequence[str]) -> None:
        """Trust these addresses and networks.

        :raises ValueError: for one that is none
        """
        self._app = app
        self._trusted: list[IPv4Network | IPv6Network] = [
            ip_network(one, strict=False) for one in trusted if one != "*"
        ]
        self._everybody = "*" in trusted

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Find who it is, before anything counts or remembers them."""
        peer = scope.get("client")
        if scope["type"] in {"http", "websocket"} and peer and self._trusts(address_of(peer[0])):
            scope = self._told(scope, peer[0])
        await self._app(scope, receive, send)

    def _told(self, scope: dict[str, Any], peer: str) -> dict[str, Any]:
        headers = scope["headers"]
        listed = addresses(_joined(headers, b"x-forwarded-for"))
        forwarded = elements(_joined(headers, b"forwarded"))
        named = [one.get("for", "") for one in forwarded]
        if listed and named and listed[-1:] != named[-1:]:
            listed, named, forwarded = [], [], []
        client = self._client(listed or named, peer)
        proto = _joined(headers, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        if not proto and forwarded:
            proto = forwarded[-1].get("proto", "").lower()
        scheme = scope.get("scheme", "http")
        if proto in SCHEMES:
            scheme = proto if scope["type"] == "http" else proto.replace("http", "ws")
        return {**scope, "client": (client, 0), "scheme": scheme}

    def _client(self, hops: Sequence[str], peer: str) -> str:
        """Give the last address that no trusted proxy has; what is no address ends the search."""
        client = peer
        for hop in reversed(hops[-MOST_HOPS:]):
            address = address_of(hop)
            if address is None:
                break
            client = str(address)
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: Address | None) -> bool:
        if self._everybody:
            return True
        return address is not None and any(address in network for network in self._trusted)


def address_of(text: str) -> Address | None:
    """Read an address, with or without a port; None for what is none."""
    found = HOST.fullmatch(text.strip().strip('"'))
    if found is None:
        return None
    try:
        address = ip_address(next(part for part in found.groups() if part))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def addresses(header: str) -> list[str]:
    """Give what X-Forwarded-For lists, as plain addresses where they are any."""
    return [_plain(one) for one in header.split(",")] if header.strip() else []


def elements(header: str) -> list[dict[str, str]]:
    """Give the elements of a Forwarded header, each as its pairs; one that is none has no pairs."""
    found = []
    for element in re.findall(r'(?:"[^"]*"|[^,"])+', header):
        pairs = [PAIR.fullmatch(pair) for pair in re.findall(r'(?:"[^"]*"|[^;"])+', element)]
        told = {one[1].lower(): one[2].strip('"') for one in pairs if one} if all(pairs) else {}
        if "for" in told:
            told["for"] = _plain(told["for"])
        found.append(told)
    return found


def _plain(text: str) -> str:
    address = address_of(text)
    return text.strip() if address is None else str(address)


def _joined(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)
