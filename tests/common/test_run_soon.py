import pytest
from celery import current_app

from common import realtime
from krakapp import tasks

TASK = "krakapp.tasks.beat_worker"


@pytest.fixture
def sent(servers: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_options: sent.append(name))
    return sent


@pytest.mark.django_db
class TestRunSoon:
    def test_asks_once_while_the_first_request_waits(
        self, sent: list[str], django_capture_on_commit_callbacks: object
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            for _ in range(3):
                realtime.run_soon(TASK)
        assert sent == [TASK]

    def test_asks_again_once_when_the_task_has_ended(
        self, sent: list[str], django_capture_on_commit_callbacks: object
    ) -> None:
        tasks.say_begun(tasks.beat_worker)
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            for _ in range(2):
                realtime.run_soon(TASK)
        assert sent == []
        tasks.say_ended(tasks.beat_worker)
        assert sent == [TASK]

        tasks.say_begun(tasks.beat_worker)
        tasks.say_ended(tasks.beat_worker)
        assert sent == [TASK]

    def test_a_running_task_may_look_again_itself(
        self, sent: list[str], django_capture_on_commit_callbacks: object
    ) -> None:
        assert not realtime.wanted_again(TASK)
        tasks.say_begun(tasks.beat_worker)
        assert not realtime.wanted_again(TASK)
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            realtime.run_soon(TASK)
        assert realtime.wanted_again(TASK)
        assert not realtime.wanted_again(TASK)
        tasks.say_ended(tasks.beat_worker)
        assert sent == []

    def test_asks_at_once_where_nobody_runs_it(
        self, sent: list[str], django_capture_on_commit_callbacks: object
    ) -> None:
        for _ in range(2):
            with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
                realtime.run_soon(TASK)
            tasks.say_begun(tasks.beat_worker)
            tasks.say_ended(tasks.beat_worker)
        assert sent == [TASK, TASK]

    def test_a_request_in_flight_outlives_the_end_of_a_run(
        self, sent: list[str], django_capture_on_commit_callbacks: object
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            realtime.run_soon(TASK)
            tasks.say_ended(tasks.beat_worker)  # of a run that took longer than requests live
            realtime.run_soon(TASK)
        assert sent == [TASK]
