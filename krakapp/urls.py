"""Every address: each app brings its pages, and its part of the REST API."""

from importlib import import_module
from importlib.util import find_spec

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from krakapp import views

# The admin's own form knows no second factor; ours does.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

APPS = [
    f"{app}.urls"
    for app in (
        "portfolio",
        "spending",
        "trading",
        "payments",
        "market",
        "instruments",
        "kyc",
        "users",
    )
    if find_spec(f"{app}.urls")
]

pages: list[URLPattern | URLResolver] = [path("", include(app)) for app in APPS]
api = [pattern for app in APPS for pattern in getattr(import_module(app), "api_urlpatterns", [])]

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    *([path("", views.landing, name="landing")] if hasattr(views, "landing") else []),
    *([path("design/", views.design, name="design")] if settings.DEMO else []),
    *pages,
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("admin/", admin.site.urls),
]
