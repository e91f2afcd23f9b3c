"""The market's pages and its part of the REST API."""

from django.urls import path

from market import api, views

app_name = "market"

urlpatterns = [
    path("markets/", views.instruments_page, name="instruments"),
    path("markets/suggestions", views.suggestions, name="suggestions"),
    path("markets/<str:symbol>/star/", views.star, name="star"),
]

api_urlpatterns = [
    path("status", api.Status.as_view(), name="status"),
    path("instruments", api.InstrumentList.as_view(), name="instruments"),
    path("instruments/<str:symbol>", api.InstrumentDetail.as_view(), name="instrument"),
    path("instruments/<str:symbol>/book", api.Book.as_view(), name="book"),
    path("instruments/<str:symbol>/candles", api.Candles.as_view(), name="candles"),
    path("instruments/<str:symbol>/trades", api.Trades.as_view(), name="trades"),
]
