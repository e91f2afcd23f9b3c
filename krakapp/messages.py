"""Messages between two pages, in a cookie that is named as our others are."""

from django.conf import settings
from django.contrib.messages.storage import cookie, fallback, session


class CookieStorage(cookie.CookieStorage):
    """Django's own, which lets nobody choose the name."""

    cookie_name = f"{settings.COOKIE_PREFIX}messages"


class MessageStorage(fallback.FallbackStorage):
    """In the cookie, and in the session what does not fit."""

    storage_classes = (CookieStorage, session.SessionStorage)
