"""Who may do what."""

from django.apps import AppConfig


class KycConfig(AppConfig):
    name = "kyc"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what two people decide, and how notices are said."""
        # Models have to be there first.
        import users.operations  # noqa: PLC0415
        import users.presenters  # noqa: PLC0415
        import users.queries  # noqa: PLC0415
        from kyc import operations, presenters, queries  # noqa: PLC0415

        users.presenters.register_notices(presenters.NOTICES)
        users.queries.register_finder(queries.people_named)
        for kind in operations.KINDS:
            users.operations.register_kind(kind)
