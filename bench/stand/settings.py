"""The product's settings, and one address more: an endpoint that does nothing."""

from krakapp.settings import *  # noqa: F403

ROOT_URLCONF = "bench.stand.urls"
