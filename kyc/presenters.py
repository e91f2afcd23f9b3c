"""How customers are told what was decided about them."""

from users.presenters import Facts, Speaker, Words


def _decided(title: str, otherwise: str = "") -> Speaker:
    """Say a decision with the message of who made it.

    :param otherwise: what is read where there is no message
    """

    def say(facts: Facts) -> Words:
        return Words(title, facts["message"] or otherwise)

    return say


NOTICES: dict[str, Speaker] = {
    "application.approved": _decided(
        "Your account is open", "You can add money and buy your first share now."
    ),
    "application.rejected": _decided("We could not open your account"),
    "application.reopened": _decided(
        "You can correct your answers", "Look through them and submit again."
    ),
    "account.restricted": _decided("Your account is limited"),
    "account.frozen": _decided("Your account is frozen"),
    "account.lifted": _decided("Your account is open again"),
}
