"""Every address of the product, and one that is empty: what a page is measured against."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import path

from krakapp.urls import handler500
from krakapp.urls import urlpatterns as product

__all__ = ["handler500", "urlpatterns"]


@login_required
def empty(request: HttpRequest) -> HttpResponse:
    """Let a customer in through the same middleware, and show nothing."""
    return HttpResponse()


urlpatterns = [path("bench/empty/", empty), *product]
