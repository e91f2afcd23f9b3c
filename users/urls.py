"""The pages of the person: settings and notices."""

from django.urls import path

from users import views

app_name = "users"

urlpatterns = [
    path("settings/", views.settings, name="settings"),
    path("settings/formats/", views.formats, name="formats"),
    path("settings/mails/", views.mails, name="mails"),
    path("settings/security/", views.security, name="security"),
    path("settings/devices/<int:pk>/end/", views.device_end, name="device_end"),
    path("security/undo/<str:token>/", views.security_undo, name="security_undo"),
    path("settings/notices/read/", views.notices_read, name="notices_read"),
]
