"""The post office: takes a mail to its recipients, by SMTP or, in a demo, into a folder."""

import smtplib
from typing import Any, Protocol

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection


class Undelivered(Exception):
    """A mail was not taken, and may be later."""


class OfficeClosed(Undelivered):
    """Nobody takes any mail just now."""


class Refused(Undelivered):
    """This mail is refused for good."""


class PostOffice(Protocol):
    """Whoever takes mail."""

    def send(self, message: EmailMultiAlternatives) -> None:
        """Hand a mail over.

        :raises OfficeClosed: if the server cannot be reached, or lets nobody in
        :raises Refused: if it will never take this mail
        :raises Undelivered: if it does not take it now, or broke off
        """
        ...


class DjangoPostOffice:
    """One of Django's mail backends, whose many errors become the three of ours."""

    def send(self, message: EmailMultiAlternatives) -> None:
        """Open a connection, hand the mail over, and close."""
        connection: Any = get_connection(settings.MAIL_TRANSPORT)
        try:
            connection.open()
        except (OSError, smtplib.SMTPException) as error:
            raise OfficeClosed(_words(error)) from error
        try:
            connection.send_messages([message])
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (Refused if min(codes) >= 500 else Undelivered)(_words(error)) from error
        except smtplib.SMTPResponseException as error:
            raise (Refused if error.smtp_code >= 500 else Undelivered)(_words(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(_words(error)) from error
        except ValueError as error:  # a header that cannot be written
            raise Refused(_words(error)) from error
        finally:
            connection.close()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def post_office() -> PostOffice:
    """Give the post office of the settings."""
    return DjangoPostOffice()
