import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from cryptography.fernet import InvalidToken

from tests import world
from users import operations
from users.adapters import MFAAdapter


class TestSecondFactors:
    def test_come_back_as_they_were(self):
        assert MFAAdapter().decrypt(MFAAdapter().encrypt("JBSWY3DP")) == "JBSWY3DP"

    def test_survive_a_new_key_that_remembers_the_old_one(self, settings):
        kept = MFAAdapter().encrypt("JBSWY3DP")
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        assert MFAAdapter().decrypt(kept) == "JBSWY3DP"

    def test_are_lost_to_whoever_lacks_the_key(self, settings):
        kept = MFAAdapter().encrypt("JBSWY3DP")
        settings.SECRET_KEY = "another"
        with pytest.raises(InvalidToken):
            MFAAdapter().decrypt(kept)

    @pytest.mark.django_db
    def test_are_not_readable_in_the_database(self):
        secret = totp.generate_totp_secret()
        totp.TOTP.activate(world.customer("bob@demo.test"), secret)
        assert secret not in str(Authenticator.objects.get().data)

    @pytest.mark.django_db
    def test_are_encrypted_anew_when_the_key_is_replaced(self, settings):
        secret = totp.generate_totp_secret()
        totp.TOTP.activate(world.customer("bob@demo.test"), secret)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        last = operations.rotate_factors(after=0, limit=10)
        assert operations.rotate_factors(after=last, limit=10) is None
        settings.SECRET_KEY_FALLBACKS = []
        kept = Authenticator.objects.get().data["secret"]
        assert MFAAdapter().decrypt(kept) == secret
