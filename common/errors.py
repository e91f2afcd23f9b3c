"""What may be expected to go wrong, in words the customer reads."""

from typing import Any

PROBLEM = "application/problem+json"


class DomainError(Exception):
    """This could not be done."""

    status = 422
    field: str | None = None
    retry_after: int | None = None  # seconds until the same may succeed

    def __init__(self, detail: str = "", *, field: str | None = None, **facts: Any) -> None:
        """Say what happened; without a detail, the class's docstring says it.

        :param field: the input it is about, as the API names it
        :param facts: values worth returning beside the sentence (JSON-ready)
        """
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.field = field or self.field
        self.facts = facts
        super().__init__(self.detail)

    @property
    def headers(self) -> dict[str, str]:
        """Give what else the answer says, in its headers."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}

    @property
    def code(self) -> str:
        """The API's name of this error."""
        return type(self).__name__


def problem(
    *, status: int, code: str, detail: str, request_id: str = "", errors: Any = None, **facts: Any
) -> dict[str, Any]:
    """Describe a failure as RFC 9457 does, the domain error's name as `code`."""
    body: dict[str, Any] = {
        "type": f"/docs/errors#{code}",
        "title": "".join(f" {c.lower()}" if c.isupper() else c for c in code).strip().capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **facts,
    }
    if errors:
        body["errors"] = errors
    return body
