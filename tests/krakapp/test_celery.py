from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from krakapp.celery import SteadyScheduler

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
EVERY_S = {"often": 2.0, "seldom": 60.0}


class Clock:
    def __init__(self) -> None:
        self.now = START

    def pass_by(self, scheduler: SteadyScheduler, seconds: int) -> None:
        """Let time pass second by second, and let beat do what is due in each."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            while scheduler.tick() == 0:
                pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sent() -> Counter[str]:
    return Counter()


@pytest.fixture
def scheduler(clock: Clock, sent: Counter[str], monkeypatch: pytest.MonkeyPatch) -> SteadyScheduler:
    app = Celery("test", set_as_current=False)
    app.conf.timezone = "UTC"
    app.conf.beat_schedule = {
        name: {"task": name, "schedule": every} for name, every in EVERY_S.items()
    }
    monkeypatch.setattr(app, "now", lambda: clock.now)
    scheduler = SteadyScheduler(app=app, lazy=True)
    scheduler.setup_schedule()
    monkeypatch.setattr(SteadyScheduler, "producer", None)  # nothing is really sent
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, **_: sent.update([entry.name]))
    for entry in scheduler.schedule.values():
        monkeypatch.setattr(entry.schedule, "nowfun", lambda: clock.now)
        entry.last_run_at = START
    return scheduler


@pytest.mark.parametrize("jump", [timedelta(minutes=-10), timedelta(minutes=10)])
def test_beat_goes_on_when_the_clock_jumps(
    clock: Clock, scheduler: SteadyScheduler, sent: Counter[str], jump: timedelta
) -> None:
    clock.pass_by(scheduler, 61)
    assert (sent["often"], sent["seldom"]) == (30, 1)
    clock.now += jump
    clock.pass_by(scheduler, 61)
    assert 59 <= sent["often"] <= 62
    assert 2 <= sent["seldom"] <= 3
