"""Where cards are found."""

from django.urls import path

from spending import api, views

app_name = "spending"

urlpatterns = [
    path("cards/", views.cards, name="cards"),
    path("cards/issue/", views.card_issue, name="card_issue"),
    path("cards/<uuid:uid>/freeze/", views.card_freeze, name="card_freeze"),
    path("cards/<uuid:uid>/cancel/", views.card_cancel, name="card_cancel"),
    path("cards/<uuid:uid>/sources/add/", views.source_add, name="source_add"),
    path("cards/<uuid:uid>/sources/move/", views.source_move, name="source_move"),
    path("cards/<uuid:uid>/tap/", views.card_tap, name="card_tap"),
    path("webhooks/card", api.CardWebhook.as_view(), name="webhook"),
]

api_urlpatterns = [
    path("cards", api.CardsView.as_view(), name="api_cards"),
    path("cards/<uuid:uid>", api.CardView.as_view(), name="api_card"),
    path("cards/<uuid:uid>/activate", api.ActivateView.as_view(), name="api_card_activate"),
    path("cards/<uuid:uid>/freeze", api.FreezeView.as_view(), name="api_card_freeze"),
    path("cards/<uuid:uid>/unfreeze", api.UnfreezeView.as_view(), name="api_card_unfreeze"),
    path("cards/<uuid:uid>/cancel", api.CancelView.as_view(), name="api_card_cancel"),
    path("cards/<uuid:uid>/funding", api.FundingView.as_view(), name="api_card_funding"),
    path("cards/<uuid:uid>/transactions", api.TransactionsView.as_view(), name="api_card_taps"),
]
