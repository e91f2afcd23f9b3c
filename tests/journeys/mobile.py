"""A customer's phone: REST with a session token, and the two sockets."""

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from common import signatures
from tests.journeys.conftest import Platform

PASSWORD = "a-long-enough-password"
DEMO_PASSWORD = "krakapp-demo"
FINAL = {"filled", "cancelled", "rejected", "expired"}
CODE = re.compile(r"^\s*([A-Z0-9]{3,8}(?:-[A-Z0-9]{3,8})?)\s*$", re.MULTILINE)

ANSWERS = {
    "first_names": "Bob",
    "last_names": "Okafor",
    "birth_date": "1990-02-03",
    "street": "Hauptstrasse 5",
    "postal_code": "10115",
    "city": "Berlin",
    "residence": "DE",
    "citizenship": "DE",
    "tax_residence": "DE",
    "tax_id": "36574261809",
    "us_person": False,
}


def code_mailed_to(platform: Platform, email: str) -> str:
    """Wait for the mail with the code, and read it."""
    platform.wait_for(lambda: bool(platform.mail_to(email)))
    found = CODE.search(platform.mail_to(email)[-1])
    assert found, platform.mail_to(email)[-1]
    return found[1]


def tell_as_the_bank(platform: Platform, *, external_id: str, reference: str, amount: str) -> int:
    """Post the bank's signed webhook; give the answer's status."""
    secret = (platform.home / "secrets/bank_webhook_secret").read_text()
    news = {"id": external_id, "reference": reference, "currency": "USD", "amount": amount}
    body = json.dumps(news).encode()
    signature = signatures.sign(body, secret=secret, at=datetime.now(tz=UTC))
    headers = {"Webhook-Signature": signature, "Content-Type": "application/json"}
    url = f"{platform.base_url}/webhooks/bank"
    return httpx.post(url, content=body, headers=headers).status_code


class Phone:
    """One customer's app."""

    def __init__(self, platform: Platform, email: str) -> None:
        self.platform = platform
        self.email = email
        self.http = httpx.Client(base_url=platform.base_url, timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_up(self) -> None:
        """Open an account, and prove the address by the code."""
        account = {"email": self.email, "password": PASSWORD}
        answer = self.http.post("/_allauth/app/v1/auth/signup", json=account)
        assert answer.status_code == 401, answer.text  # signed up; the address is still to prove
        pending = [f["id"] for f in answer.json()["data"]["flows"] if f.get("is_pending")]
        assert pending == ["verify_email"]
        self._use(answer)
        code = {"key": code_mailed_to(self.platform, self.email)}
        answer = self.http.post("/_allauth/app/v1/auth/email/verify", json=code)
        assert answer.status_code == 200, answer.text
        self._use(answer)

    def sign_in(self, password: str = DEMO_PASSWORD) -> None:
        account = {"email": self.email, "password": password}
        answer = self.http.post("/_allauth/app/v1/auth/login", json=account)
        assert answer.status_code == 200, answer.text
        self._use(answer)

    def prove(self, password: str = PASSWORD) -> None:
        """Give the password again, as before whatever guards the account."""
        answer = self.http.post("/_allauth/app/v1/auth/reauthenticate", json={"password": password})
        assert answer.status_code == 200, answer.text

    def _use(self, answer: httpx.Response) -> None:
        self.token = answer.json()["meta"]["session_token"]
        self.http.headers["X-Session-Token"] = self.token
        self.http.cookies.clear()

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """Make one call; POSTs carry an idempotency key."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else None
        answer = self.http.request(method, f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def balance(self, asset: str = "USD") -> dict[str, Any]:
        for one in self.get("balances"):
            if one["asset"] == asset:
                return dict(one)
        return {"asset": asset, "total": "0", "held": "0", "available": "0"}

    def order(self, **terms: Any) -> dict[str, Any]:
        return dict(self.call("POST", "orders", terms, expect=201))

    def wait_for(self, get: Callable[[], Any], *, seconds: float = 30) -> Any:
        """Ask until there is something, and give it."""
        found: list[Any] = []

        def look() -> bool:
            found[:] = [get()]
            return bool(found[0])

        self.platform.wait_for(look, seconds=seconds)
        return found[0]

    def wait_until_final(self, order_id: str) -> dict[str, Any]:
        """Wait until an order is done."""

        def done() -> dict[str, Any] | None:
            order = dict(self.get(f"orders/{order_id}"))
            return order if order["status"] in FINAL else None

        return dict(self.wait_for(done))

    @contextmanager
    def listening(self, channel: str, **params: Any) -> Iterator["Listener"]:
        """Subscribe to a public channel, or to a private one by token."""
        private = channel in {"executions", "balances", "notifications"}
        path = "/ws/v2/private" if private else "/ws/v2"
        url = self.platform.base_url.replace("http", "ws") + path
        params = {"channel": channel, **params} | ({"token": self.token} if private else {})
        with connect(url, open_timeout=20) as socket:
            socket.send(json.dumps({"method": "subscribe", "params": params, "req_id": 1}))
            yield Listener(socket, channel)


class Listener:
    """What one socket hears on one channel."""

    def __init__(self, socket: ClientConnection, channel: str) -> None:
        self.socket = socket
        self.channel = channel
        self.confirmed = False

    def messages(self, *, seconds: float = 30) -> Iterator[dict[str, Any]]:
        """Give the channel's snapshots and updates as they come, for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = json.loads(self.socket.recv(timeout=left))
            except (TimeoutError, ConnectionClosed):
                return
            assert message.get("success", True), message
            self.confirmed |= message.get("method") == "subscribe"
            if message.get("channel") == self.channel and "data" in message:
                yield message

    def until(
        self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = 30
    ) -> dict[str, Any]:
        """Give the first item of data that is wanted.

        :raises AssertionError: with what came instead
        """
        heard = []
        for message in self.messages(seconds=seconds):
            for item in message["data"]:
                if wanted(item):
                    return dict(item)
                heard.append(item)
        raise AssertionError(f"in {seconds} s only this: {list(itertools.islice(heard, 20))}")
