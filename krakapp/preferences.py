"""How who asks reads and writes numbers, and by which clock they live.

A customer's own choice holds; until there is one, the browser tells: its language, and in a cookie
that the page's script sets, its time zone. The first signed-in request keeps what it told.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import sync_only_middleware

from common import numbers, times
from krakapp.problems import for_programs
from users import operations
from users.models import User

TIME_ZONE_COOKIE = "time_zone"


@sync_only_middleware
def preferences(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let pages read and show as their reader does; programs and staff get UTC and 1,000.50."""

    def middleware(request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if for_programs(path) or path.startswith("/admin/"):
            return get_response(request)
        number_format = numbers.format_of(request.headers.get("Accept-Language", ""))
        told = request.COOKIES.get(TIME_ZONE_COOKIE, "")
        time_zone = told if times.zone_of(told) else ""
        if isinstance(user := request.user, User) and user.is_authenticated:
            if time_zone:  # the page's script has run: this is a browser, and its owner's
                operations.learn_preferences(
                    user=user, number_format=number_format, time_zone=time_zone
                )
            number_format = user.number_format or number_format
            time_zone = user.time_zone or time_zone
        request.number_format = number_format  # type: ignore[attr-defined]
        zone = times.zone_of(time_zone) or timezone.get_default_timezone()
        with timezone.override(zone), numbers.reading(number_format):
            return get_response(request)

    return middleware
