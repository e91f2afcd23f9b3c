"""Who may do what."""

from django.apps import AppConfig


class KycConfig(AppConfig):
    name = "kyc"
    default_auto_field = "django.db.models.BigAutoField"
    staff_permissions = {
        "Support": ["review_application"],
        "Compliance": [
            "review_application",
            "add_restrictedplace",
            "change_restrictedplace",
        ],
    }
