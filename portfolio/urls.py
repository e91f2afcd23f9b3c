"""Where the portfolio is found."""

from django.urls import path

from portfolio import api, views

app_name = "portfolio"

urlpatterns = [
    path("home/", views.home, name="home"),
    path("portfolio/", views.positions, name="positions"),
    path("portfolio/position/<str:symbol>/", views.position, name="position"),
    path("activity/", views.activity, name="activity"),
]

api_urlpatterns = [
    path("balances", api.BalancesView.as_view(), name="api_balances"),
    path("portfolio", api.PortfolioView.as_view(), name="api_portfolio"),
    path("activity", api.ActivityView.as_view(), name="api_activity"),
]
