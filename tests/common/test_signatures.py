from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.signatures import TOLERANCE_S, SignatureInvalid, sign, verify

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "shared with the bank"
BODY = b'{"amount": "10.00"}'


def header(body: bytes = BODY, secret: str = SECRET, at: datetime = NOW) -> str:
    return sign(body, secret=secret, at=at)


class TestVerify:
    @given(st.binary(), st.text(min_size=1), st.integers(-TOLERANCE_S, TOLERANCE_S))
    def test_accepts_what_its_sender_signed(self, body: bytes, secret: str, late_s: int) -> None:
        signed = header(body, secret)
        verify(body, signed, secret=secret, now=NOW + timedelta(seconds=late_s))

    @given(st.binary())
    def test_refuses_every_other_body(self, body: bytes) -> None:
        if body != BODY:
            with pytest.raises(SignatureInvalid):
                verify(body, header(), secret=SECRET, now=NOW)

    def test_refuses_another_secret(self) -> None:
        with pytest.raises(SignatureInvalid):
            verify(BODY, header(secret="a guess"), secret=SECRET, now=NOW)

    @pytest.mark.parametrize("late_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1, 86_400])
    def test_refuses_a_stale_or_future_time(self, late_s: int) -> None:
        with pytest.raises(SignatureInvalid, match="five minutes"):
            verify(BODY, header(), secret=SECRET, now=NOW + timedelta(seconds=late_s))

    def test_a_fresh_time_on_an_old_signature_does_not_help(self) -> None:
        old = header(at=NOW - timedelta(days=1))
        forged = f"t={int(NOW.timestamp())},{old.partition(',')[2]}"
        with pytest.raises(SignatureInvalid):
            verify(BODY, forged, secret=SECRET, now=NOW)

    def test_time_and_body_cannot_trade_digits(self) -> None:
        """A signature of `t` and body must not fit another split of the same bytes."""
        at = int(NOW.timestamp())
        digest = sign(b"1.x", secret=SECRET, at=NOW).partition("v1=")[2]
        with pytest.raises(SignatureInvalid):
            verify(b"x", f"t={at}.1,v1={digest}", secret=SECRET, now=NOW)

    @pytest.mark.parametrize(
        "malformed",
        [
            *("", ",", "=", "t=,v1=", "v1=abc", "t=1700000000", "t=-5,v1=x", "t=1e9,v1=x"),
            *("t=\u0663,v1=x", f"t={'9' * 13},v1=x", "t=nan,v1=x", "t=1,v1=\xff", "t=1;v1=x"),
        ],
    )
    def test_refuses_a_malformed_header(self, malformed: str) -> None:
        with pytest.raises(SignatureInvalid):
            verify(BODY, malformed, secret=SECRET, now=NOW)

    @given(st.text())
    def test_refuses_any_text_by_name(self, text: str) -> None:
        with pytest.raises(SignatureInvalid):
            verify(BODY, text, secret=SECRET, now=NOW)
