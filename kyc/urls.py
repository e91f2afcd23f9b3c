"""Where verification is found."""

from django.urls import path

from kyc import api, views

app_name = "kyc"

urlpatterns = [
    path("verify/", views.application, name="application"),
    path("verify/<slug:name>/", views.step, name="step"),
    path("agreements/<slug:document>/", views.agreement, name="agreement"),
]

api_urlpatterns = [
    path("me", api.Me.as_view(), name="api_me"),
    path("me/preferences", api.PreferencesView.as_view(), name="api_preferences"),
    path("kyc/application", api.ApplicationView.as_view(), name="api_application"),
    path("kyc/application/submit", api.Submission.as_view(), name="api_application_submit"),
]
