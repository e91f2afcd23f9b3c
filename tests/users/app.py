"""A customer's app at allauth's headless API: it keeps the newest token."""

import json
from typing import Any

from django.test import Client

from tests import world

BASE = "/_allauth/app/v1/"


class App:
    """One phone."""

    def __init__(self, *, REMOTE_ADDR: str = "127.0.0.1", **headers: str) -> None:  # noqa: N803
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.client = Client(headers=named, REMOTE_ADDR=REMOTE_ADDR)
        self.token = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a call; give the answer, its JSON as `data` beside the status."""
        headers = {"X-Session-Token": self.token} if self.token else {}
        path = path if path.startswith("/") else BASE + path
        answer = self.client.generic(
            method,
            path,
            data=as_json(body),
            content_type="application/json",
            headers=headers,
        )
        answer.body = answer.json() if answer.content else {}
        self.token = answer.body.get("meta", {}).get("session_token") or self.token
        return answer

    def sign_in(self, email: str, password: str = world.PASSWORD) -> Any:
        """Sign in as far as a password goes."""
        self.token = ""
        return self.call("POST", "auth/login", {"email": email, "password": password})

    def pending(self, answer: Any) -> set[str]:
        """Name the steps that an answer says are still to do."""
        flows = answer.body.get("data", {}).get("flows", [])
        return {flow["id"] for flow in flows if flow.get("is_pending")}


def as_json(body: Any) -> str:
    """Write a body; none at all is an empty one."""
    return "" if body is None else json.dumps(body)
