"""Every address: each app brings its pages, and its part of the REST API."""

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

import kyc.urls
import market.urls
import payments.urls
import portfolio.urls
import spending.urls
import trading.urls
from krakapp import views

# The admin's own form knows no second factor; ours does.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Its own form for a new password tells neither the owner nor the audit trail; ours does.
admin.site.password_change = RedirectView.as_view(  # type: ignore[assignment,method-assign]
    pattern_name="account_change_password"
)

handler500 = views.server_error

APPS = ("portfolio", "spending", "trading", "payments", "market", "kyc", "users")
API = (portfolio.urls, spending.urls, trading.urls, payments.urls, market.urls, kyc.urls)

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("", views.landing, name="landing"),
    path("help/", views.answers, name="help"),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("sw.js", views.service_worker, name="service_worker"),
    path("offline/", views.offline, name="offline"),
    *([path("design/", views.design, name="design")] if settings.DEMO else []),
    *(path("", include(f"{app}.urls")) for app in APPS),
    *(path("api/v1/", include(urls.api_urlpatterns)) for urls in API),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("admin/", admin.site.urls),
]
