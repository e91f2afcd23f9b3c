"""An answer that cannot be true is asked back at once, through whichever door it comes."""

from datetime import date, timedelta
from typing import Any

import pytest

from kyc import operations, queries
from kyc.rules import wrong_with
from tests import world

TODAY = world.NOW.date()
ADULT = date(TODAY.year - 18, TODAY.month, TODAY.day)
OLDEST = date(TODAY.year - 120, TODAY.month, TODAY.day)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["Bob", "José María", "O’Neill", "Anne-Marie", "Ng", "李", "Łukasz", "Jr.", "عمر", "नेहा"],  # noqa: RUF001
    )
    def test_are_letters_of_any_script(self, name: str) -> None:
        assert wrong_with("first_names", name, {}, TODAY) is None

    @pytest.mark.parametrize(
        "name",
        [
            "\u200b",
            "\u0301",
            "\u2060\u200d",
            "\x07Bob",
            "B\u202eob",
            "...",
            "-",
            "12",
            "Bob3",
            "😀",
            "Bob 😀",
        ],
    )
    def test_show_something_and_are_no_code(self, name: str) -> None:
        assert wrong_with("first_names", name, {}, TODAY)

    def test_say_the_first_sign_that_no_name_has(self) -> None:
        assert str(wrong_with("first_names", "B%b#", {}, TODAY)).startswith("A name has no #:")

    def test_with_something_invisible_are_to_be_written_in_letters(self) -> None:
        for name in ("first_names", "last_names", "street", "city"):
            assert "in letters" in str(wrong_with(name, "Bo\u200bb", {}, TODAY))


class TestBirth:
    @pytest.mark.parametrize(
        "born", [ADULT, ADULT - timedelta(days=1), OLDEST, OLDEST - timedelta(days=1), TODAY]
    )
    def test_can_be_within_an_oldest_age(self, born: date) -> None:
        assert wrong_with("birth_date", born, {}, TODAY) is None

    @pytest.mark.parametrize(
        "born",
        [
            date(2091, 1, 1),
            date(1800, 1, 1),
            TODAY + timedelta(days=1),
            date(1899, 12, 31),
            date(OLDEST.year - 1, OLDEST.month, OLDEST.day),
        ],
    )
    def test_is_no_date_that_nobody_was_born_on(self, born: date) -> None:
        assert wrong_with("birth_date", born, {}, TODAY)


class TestPostalCodes:
    @pytest.mark.parametrize(
        ("country", "code"),
        [
            ("DE", "10115"),
            ("CH", "8001"),
            ("FR", "75011"),
            ("GB", "EC1Y 8SY"),
            ("GB", "ec1y 8sy"),
            ("BR", "40301-110"),
            ("NO", "0155"),
            ("AE", ""),
            ("HK", ""),
            ("US", "95014-1234"),
            ("XK", ""),
        ],
    )
    def test_are_as_they_are_there(self, country: str, code: str) -> None:
        assert wrong_with("postal_code", code, {"residence": country}, TODAY) is None

    @pytest.mark.parametrize(
        ("country", "code", "said"),
        [
            ("DE", "1011", "looks like 26133"),
            ("CH", "80011", "looks like 2544"),
            ("AE", "12345", "no postal codes"),
            ("HK", "999077", "no postal codes"),
        ],
    )
    def test_of_elsewhere_are_asked_back(self, country: str, code: str, said: str) -> None:
        assert said in str(wrong_with("postal_code", code, {"residence": country}, TODAY))


class TestTaxNumbers:
    @pytest.mark.parametrize("number", ["1", "123", "1111", "----", "0000 0000"])
    def test_are_no_single_sign(self, number: str) -> None:
        assert wrong_with("tax_id", number, {}, TODAY)

    @pytest.mark.parametrize("number", ["29028812345", "DE 123/456/789", "AB12"])
    def test_are_copied_from_the_return(self, number: str) -> None:
        assert wrong_with("tax_id", number, {}, TODAY) is None


@pytest.mark.django_db
class TestTheDoors:
    @pytest.fixture
    def bob(self, client: Any) -> Any:
        bob = world.customer("bob@demo.test")
        client.force_login(bob)
        return bob

    @pytest.mark.parametrize(
        ("step", "answers", "field"),
        [
            ("name", {"first_names": "\u200b", "birth_date": "1988-02-29"}, "first_names"),
            ("name", {"first_names": "Bob", "birth_date": "1800-01-01"}, "birth_date"),
            ("tax", {"tax_id": "1"}, "tax_id"),
        ],
    )
    def test_ask_back_alike(
        self, client: Any, bob: Any, step: str, answers: dict[str, str], field: str
    ) -> None:
        page = client.post(f"/verify/{step}/", answers)
        assert page.status_code == 422
        assert page.context["form"].errors[field]
        told = client.put("/api/v1/kyc/application", answers, content_type="application/json")
        assert (told.status_code, told.json()["code"]) == (400, "AnswerUnsound")
        assert told.json()["errors"][0]["field"] == field
        assert queries.application_of(bob) is None

    @pytest.mark.parametrize("american", ["citizenship", "tax_residence", "us_person"])
    def test_tell_an_american_before_the_tax_number(
        self, client: Any, bob: Any, american: str
    ) -> None:
        answers = {"citizenship": "NO", "tax_residence": "NO", "us_person": "no"}
        answers[american] = "yes" if american == "us_person" else "US"
        page = client.post("/verify/us-person/", answers)
        assert page.status_code == 422
        assert "United States" in page.content.decode()
        assert queries.application_of(bob) is None

    def test_tell_a_minor_at_the_birth_date(self, client: Any, bob: Any, friday: None) -> None:
        minor = {"first_names": "Bob", "birth_date": str(ADULT + timedelta(days=1))}
        assert "18 or older" in client.post("/verify/name/", minor).content.decode()
        adult = minor | {"birth_date": str(ADULT)}
        assert client.post("/verify/name/", adult).status_code == 302

    def test_are_content_with_one_name_and_with_no_postal_code(self, bob: Any) -> None:
        answers = world.ANSWERS | {"last_names": "", "residence": "AE", "postal_code": ""}
        operations.save_draft(user=bob, answers=answers, now=world.NOW)
        application = queries.application_of(bob)
        assert application is not None
        assert queries.missing_fields(application) == []

    def test_want_a_postal_code_that_fits_another_country(self, bob: Any) -> None:
        operations.save_draft(user=bob, answers=world.ANSWERS, now=world.NOW)
        with pytest.raises(operations.AnswerUnsound) as asked:
            operations.save_draft(user=bob, answers={"residence": "CH"}, now=world.NOW)
        assert asked.value.field == "postal_code"

    def test_lead_from_a_change_back_to_the_review(self, client: Any, bob: Any) -> None:
        operations.save_draft(user=bob, answers=world.ANSWERS, now=world.NOW)
        assert "/verify/name/?review" in client.get("/verify/submit/").content.decode()
        typed = {"first_names": "Robert", "birth_date": "1988-02-29"}
        assert client.post("/verify/name/?review", typed).url == "/verify/submit/"
