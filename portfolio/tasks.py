"""The clock of the portfolio."""

from celery import shared_task

from portfolio import operations


@shared_task
def book_lots() -> None:
    """Book the lots of settled trades."""
    operations.book_lots()
