"""Where payments are found."""

from django.urls import path

from payments import api, views

app_name = "payments"

urlpatterns = [
    path("deposit/", views.deposit, name="deposit"),
    path("deposit/<uuid:uid>/", views.deposit_detail, name="deposit_detail"),
    path("webhooks/bank", api.BankWebhook.as_view(), name="bank_webhook"),
]

api_urlpatterns = [path("deposits", api.Deposits.as_view(), name="api_deposits")]
