"""The Celery app: tasks come from every app's `tasks.py`; beat's schedule lives here."""

import os
from datetime import datetime
from typing import Any

from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "krakapp.settings")

app = Celery("krakapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# The row says what is due; beat only makes sure that somebody looks.
SCHEDULE: dict[str, dict[str, Any]] = {
    "settle what is due": {
        "task": "trading.tasks.settle",
        "schedule": 0.5,  # with or without work: who settles says that it is there
        "options": {"expires": 2},
    },
    "take off what customers may trade no longer": {
        "task": "trading.tasks.cancel_orders_of_barred",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "tell what became of orders": {
        "task": "trading.tasks.tell_of_orders",
        "schedule": 3.0,
        "options": {"expires": 3},
    },
    "count what customers trade": {
        "task": "trading.tasks.roll_up_volume",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "steer the markets": {
        "task": "trading.tasks.steer_markets",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "carry out corporate actions": {
        "task": "trading.tasks.carry_out_actions",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "book the lots of settled trades": {
        "task": "portfolio.tasks.book_lots",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "give back what merchants never cleared": {
        "task": "spending.tasks.expire_due",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "send the mail that is due": {
        "task": "users.tasks.send_mail",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "let mail go": {
        "task": "users.tasks.let_mail_go",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "read the bank's statement": {
        "task": "payments.tasks.import_statements",
        "schedule": 1800.0,
        "options": {"expires": 1800},
    },
    "take what customers owe from new money": {
        "task": "spending.tasks.recover_debts",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "forget first answers": {
        "task": "krakapp.tasks.forget_first_answers",
        "schedule": 3600.0,
    },
    "end the proposals that nobody decided on": {
        "task": "users.tasks.expire_proposals",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "take a snapshot of the books": {
        "task": "trading.tasks.take_snapshots",
        "schedule": crontab(hour=3, minute=40),
    },
    "let old commands go": {
        "task": "trading.tasks.purge_commands",
        "schedule": crontab(hour=4, minute=0),
    },
    "let ended sessions go": {
        "task": "users.tasks.forget_sessions",
        "schedule": crontab(minute=25),
    },
    "let old notices go": {
        "task": "users.tasks.forget_notices",
        "schedule": crontab(hour=4, minute=10),
    },
    "let short candles and the old tape go": {
        "task": "market.tasks.forget_prices",
        "schedule": crontab(hour=4, minute=30),
    },
    "load the exchange's calendar": {
        "task": "market.tasks.load_calendar",
        "schedule": crontab(hour=4, minute=20),
    },
    "prove that a worker lives": {
        "task": "krakapp.tasks.beat_worker",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
}
DEMO_SCHEDULE: dict[str, dict[str, Any]] = {
    "let the simulated bank pay": {
        "task": "payments.tasks.let_simulated_bank_pay",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "let the simulated merchants clear": {
        "task": "spending.tasks.clear_taps",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
}
SIMULATED_CUSTOMERS: dict[str, dict[str, Any]] = {
    "let the simulated customers trade": {
        "task": "krakapp.tasks.let_simulated_customers_trade",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
}


def schedule() -> dict[str, dict[str, Any]]:
    """Say what is looked after how often, with a demo's simulations in a demo."""
    simulated = DEMO_SCHEDULE if settings.DEMO else {}
    return SCHEDULE | simulated | (SIMULATED_CUSTOMERS if settings.SIMULATED_CUSTOMERS else {})


# Not before somebody asks: the settings may be importing this package just now.
app.add_defaults(lambda: {"beat_schedule": schedule()})


class SteadyScheduler(Scheduler):
    """Celery's own, for which a clock that is set back is no reason to pause.

    Without this, whatever ran last stays "not due yet" until the clock is there again.
    """

    _seen: datetime | None = None

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Count every interval from now where the clock went back, then do what is due."""
        now = self.app.now()
        if self._seen and now < self._seen:
            for entry in self.schedule.values():
                entry.last_run_at = min(entry.last_run_at or now, now)
            self._heap = None  # made anew from the entries
        self._seen = now
        return super().tick(*args, **kwargs)
