"""What the OpenAPI document says of every operation alike: how a request may be refused."""

from typing import Any

from common.errors import PROBLEM

WRITING = {"post", "put", "patch", "delete"}

# By status: when it happens, in the words of the document.
REFUSALS = {
    400: "Malformed: `errors` names each field that does not fit.",
    401: "Not signed in: send `X-Session-Token`.",
    403: "Not permitted: `code` says why, like `VerificationRequired`.",
    404: "Not there, or somebody else's.",
    405: "This address does not take this method.",
    406: "The answer is JSON; accept `application/json`.",
    408: "The body did not arrive in time.",
    409: "In conflict with how things stand, or the first request of this key still runs.",
    413: "The body is too large.",
    415: "Send JSON with `Content-Type: application/json`.",
    422: "Understood and refused: `code` says why, like `InsufficientFunds`.",
    429: "Too often: ask again after `Retry-After` seconds.",
    503: "Not just now: ask again after `Retry-After` seconds, with the same `Idempotency-Key`.",
}
OF_ALL = {400, 405, 406, 429, 503}
OF_SIGNED_IN = {401, 403}
OF_PLACES = {404}
OF_WRITING = {403, 408, 409, 413, 415, 422}


def document_refusals(
    result: dict[str, Any],
    generator: Any,
    request: Any,
    public: bool,  # noqa: FBT001 - spectacular's
) -> dict[str, Any]:
    """Let each operation refer to the refusals that its kind has; what a view says itself stays."""
    components = result["components"]
    components["responses"] = {f"Refused{status}": _response(status) for status in REFUSALS}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for status in sorted(_statuses(path, method, operation)):
                reference = {"$ref": f"#/components/responses/Refused{status}"}
                operation["responses"].setdefault(str(status), reference)
    return result


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    statuses = set(OF_ALL)
    if {} not in operation.get("security", []):
        statuses |= OF_SIGNED_IN
    if "{" in path:
        statuses |= OF_PLACES
    if method in WRITING:
        statuses |= OF_WRITING
    return statuses


def _response(status: int) -> dict[str, Any]:
    headers = {"X-Request-ID": {"schema": {"type": "string"}}}
    if status in {429, 503}:
        headers["Retry-After"] = {"schema": {"type": "integer"}}
    if status == 429:
        headers |= {
            name: {"schema": {"type": "string"}} for name in ("RateLimit-Policy", "RateLimit")
        }
    return {
        "description": REFUSALS[status],
        "headers": headers,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}},
    }
