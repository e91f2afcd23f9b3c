"""The sockets: `/ws/v2` for everybody, `/ws/v2/private` for a customer's own events."""

from market.consumers.crowd import Crowd
from market.consumers.private import PrivateConsumer
from market.consumers.public import PublicConsumer

__all__ = ["Crowd", "PrivateConsumer", "PublicConsumer"]
