from django.apps import AppConfig


class KrakappConfig(AppConfig):
    """The top of the stack: wires the apps together and decides nothing."""

    name = "krakapp"
