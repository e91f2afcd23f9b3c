"""What may be expected to go wrong, in words the customer reads."""

from typing import Any


class DomainError(Exception):
    """This could not be done."""

    status = 422
    field: str | None = None

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
    def code(self) -> str:
        """The API's name of this error."""
        return type(self).__name__
