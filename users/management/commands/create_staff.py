import getpass
import os
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from common import clock
from common.errors import DomainError
from users import operations, queries, rules


class Command(BaseCommand):
    """The first of the staff come from the server's own terminal; later ones by two people."""

    help = (
        "Make somebody of the staff, and print a link by which they choose their password, once. "
        "At their first sign-in they enroll a second factor."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--role", choices=rules.ROLES)
        what.add_argument("--superuser", action="store_true", help="who has every role")
        parser.add_argument("--reason", default="", help="who asked for it, for the audit trail")
        parser.add_argument(
            "--password",
            action="store_true",
            help="ask for a password, or take the first line of the input, and print no link",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = operations.create_staff(
                email=options["email"],
                role=options["role"],
                password=read_password() if options["password"] else None,
                reason=options["reason"] or f"by {whoever()}, at the server's terminal",
                now=clock.now(),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{user.email} is {options['role'] or 'superuser'} now.")
        if not options["password"]:
            self.stdout.write("They choose their password here, once, within three days:")
            self.stdout.write(queries.password_link(user))


def read_password() -> str:
    """Ask for a password twice, or take the first line of the input.

    :raises CommandError: if the two are not the same, or there is none
    """
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("The two passwords are not the same.")
    if not password:
        raise CommandError("There is no password.")
    return password


def whoever() -> str:
    """Name who is at the terminal, as the system knows them."""
    return os.environ.get("SUDO_USER") or f"uid {os.getuid()}"
