"""What workers do about people."""

from celery import shared_task

from common import clock
from users import operations

MAILS_A_RUN = 100  # then others get the worker, and the next look goes on


@shared_task(name="users.tasks.expire_proposals")
def expire_proposals() -> int:
    """End the proposals that nobody decided on in time."""
    return operations.expire_proposals(now=clock.now())


@shared_task(name="users.tasks.send_mail")
def send_mail() -> int:
    """Send the mail that is due; say how much there was."""
    for number in range(MAILS_A_RUN):
        if not operations.send_next_mail(now=clock.now()):
            return number
    return MAILS_A_RUN


@shared_task(name="users.tasks.let_mail_go")
def let_mail_go() -> int:
    """Drop mail that is too late, and forget what was sent long ago."""
    return operations.let_mail_go(now=clock.now())


@shared_task(name="users.tasks.forget_sessions")
def forget_sessions() -> int:
    """Let go of sessions that have expired."""
    return operations.forget_sessions(now=clock.now())


@shared_task(name="users.tasks.forget_notices")
def forget_notices() -> int:
    """Let go of notices of long ago."""
    return operations.forget_notices(now=clock.now())
