"""The language of the sockets: Kraken's WebSocket v2, its shapes and its words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from common import clock, heartbeats, payloads
from common.heartbeats import Part
from common.payloads import Unreadable

MAX_REQUEST_CHARACTERS = 65_536

_encoder = msgspec.json.Encoder(decimal_format="number")


class Refused(Exception):
    """A request that is answered with `success: false`; the text is Kraken's where it has one."""


class Params(msgspec.Struct):
    """What a request may say; every field is optional on the wire."""

    channel: str = ""
    symbol: list[str] | None = None
    depth: int = 10
    interval: int = 1
    snapshot: bool = True
    event_trigger: str = "trades"
    token: str | None = None


class Request(msgspec.Struct):
    """One request: subscribe, unsubscribe or ping."""

    method: str
    params: Params = msgspec.field(default_factory=Params)
    req_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None


def read(text: str) -> Request:
    """Read a request.

    :raises Refused: for what isn't one
    """
    if len(text) > MAX_REQUEST_CHARACTERS:
        raise Refused("Message too large")
    try:
        return msgspec.convert(payloads.read(text), Request)
    except (Unreadable, msgspec.ValidationError) as error:
        raise Refused("Malformed request") from error


def encode(message: Any) -> str:
    """Write a message: decimals as numbers with all their digits."""
    return _encoder.encode(message).decode()


def moment(at: datetime) -> str:
    """Write a time as Kraken does: RFC 3339, microseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def answer(request: Request, time_in: datetime, **body: Any) -> str:
    """Answer a request; `body` says how it went."""
    message: dict[str, Any] = {"method": request.method, **body}
    if request.req_id is not None:
        message["req_id"] = request.req_id
    message["time_in"] = moment(time_in)
    message["time_out"] = moment(clock.now())
    return encode(message)


def refusal(words: str, *, time_in: datetime, req_id: int | None = None, **body: Any) -> str:
    """Refuse a request, in the given words."""
    message: dict[str, Any] = {"error": words, **body, "success": False}
    if req_id is not None:
        message["req_id"] = req_id
    message["time_in"] = moment(time_in)
    message["time_out"] = moment(clock.now())
    return encode(message)


HEARTBEAT = '{"channel":"heartbeat"}'


def status(connection_id: int, parts: Sequence[Part] = ()) -> str:
    """Say how the platform is, as Kraken does with the channel `status`, and what is silent."""
    data = {
        "system": heartbeats.system(parts),
        "api_version": "v2",
        "version": "2.0.0",
        "connection_id": connection_id,
        "silent": [
            {"part": part.name, "since": moment(part.silent_since), "detail": part.words}
            for part in parts
            if part.silent_since
        ],
    }
    return encode({"channel": "status", "type": "update", "data": [data]})
