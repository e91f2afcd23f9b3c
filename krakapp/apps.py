from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class KrakappConfig(AppConfig):
    """The top of the stack: wires the apps together and decides nothing."""

    name = "krakapp"

    def ready(self) -> None:
        """Register what `check --deploy` asks, and let each session know when it has to end."""
        from krakapp import checks, sessions  # noqa: F401, PLC0415 - models have to be there first

        user_logged_in.connect(sessions.begin, dispatch_uid="krakapp.sessions.begin")
