"""Addresses of trading."""

from django.urls import path

from trading import api, views

app_name = "trading"

urlpatterns = [
    path("markets/<str:symbol>/", views.instrument, name="instrument"),
    path("markets/<str:symbol>/ticket/", views.ticket, name="ticket"),
    path("markets/<str:symbol>/preview/", views.preview, name="preview"),
    path("markets/<str:symbol>/place/", views.place, name="place"),
    path("markets/<str:symbol>/orders/", views.instrument_orders, name="instrument_orders"),
    path("orders/", views.orders, name="orders"),
    path("orders/cancel-all/", views.cancel_all, name="cancel_all"),
    path("orders/<uuid:uid>/", views.order, name="order"),
    path("orders/<uuid:uid>/cancel/", views.cancel, name="cancel"),
    path("orders/<uuid:uid>/amend/", views.amend, name="amend"),
]

api_urlpatterns = [
    path("orders", api.OrdersView.as_view()),
    path("orders/preview", api.PreviewView.as_view()),
    path("orders/batch", api.BatchView.as_view()),
    path("orders/cancel-batch", api.CancelBatchView.as_view()),
    path("orders/cancel-all-after", api.CancelAllAfterView.as_view()),
    path("orders/<uuid:uid>", api.OrderView.as_view()),
    path("fees", api.FeesView.as_view()),
    path("trades", api.TradesView.as_view()),
]
