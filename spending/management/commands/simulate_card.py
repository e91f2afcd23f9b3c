import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common import clock
from common.errors import DomainError
from spending import operations
from spending.models import Authorization, Card

ON_A_CARD = ("authorize", "advise", "force-capture")
ON_AN_AUTHORIZATION = ("increment", "capture", "reverse", "expire", "refund")
NEEDS_AN_AMOUNT = ("authorize", "advise", "force-capture", "increment")


class Command(BaseCommand):
    """Print one JSON object; exit 1 where the platform does not accept the event."""

    help = "Act as the card network against the running platform, by signed webhooks."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take an act and what it is about."""
        parser.add_argument("act", choices=[*ON_A_CARD, *ON_AN_AUTHORIZATION, "dispute"])
        parser.add_argument("--card", help="the card's id, or its holder's e-mail address")
        parser.add_argument("--authorization", help="the id that authorize printed")
        parser.add_argument("--amount", help="in dollars; without it, all there is to it")
        parser.add_argument("--mcc", default="", help="the merchant's category, four digits")
        parser.add_argument("--merchant", default="", help="the merchant's name")
        parser.add_argument("--partial", action="store_true", help="less than asked will do")
        parser.add_argument("--more-to-come", action="store_true", help="capture: not the last")
        parser.add_argument("--external-id", default="", help="repeat an event by its own id")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send the event and print the answer."""
        if options["act"] == "dispute":
            raise CommandError("dispute is not supported yet")
        try:
            answer = operations.send_as_network(
                act=options["act"],
                now=clock.now(),
                amount=options["amount"],
                external_id=options["external_id"],
                merchant=options["merchant"],
                mcc=options["mcc"],
                partial_allowed=options["partial"],
                final=not options["more_to_come"],
                **self.subject(options),
            )
        except DomainError as error:
            raise CommandError(f"{error.facts.get('problem') or error.code}: {error}") from error
        self.stdout.write(json.dumps(answer, ensure_ascii=False))

    def subject(self, options: dict[str, Any]) -> dict[str, Any]:
        """Find the card, and the authorization where the act is about one."""
        act = options["act"]
        if act in NEEDS_AN_AMOUNT and not options["amount"]:
            raise CommandError(f"{act} needs --amount")
        if options["authorization"] and act not in ON_A_CARD:
            uid = self.uid(options["authorization"])
            found = Authorization.objects.select_related("card").filter(uid=uid).first()
            if found is None:
                raise CommandError("no authorization of that id")
            return {"card": found.card, "authorization": found}
        if act in ON_AN_AUTHORIZATION and act != "refund":
            raise CommandError(f"{act} needs --authorization")
        if not options["card"]:
            raise CommandError(f"{act} needs --card")
        return {"card": self.card(options["card"])}

    def card(self, name: str) -> Card:
        """Find a card by its id, or the newest of a holder."""
        which = {"user__email": name} if "@" in name else {"uid": self.uid(name)}
        card = Card.objects.filter(**which).order_by("-id").first()
        if card is None:
            raise CommandError(f"no card of that {'holder' if '@' in name else 'id'}")
        return card

    def uid(self, text: str) -> UUID:
        """Read an id."""
        try:
            return UUID(text)
        except ValueError as error:
            raise CommandError(f"{text} is not an id") from error
