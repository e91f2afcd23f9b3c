import pytest
from django.test import Client

POLICY = "Content-Security-Policy"


@pytest.mark.django_db
class TestRequestId:
    def test_is_the_proxys_where_it_gave_one(self, client):
        answer = client.get("/healthz", headers={"X-Request-ID": "edge-0123456789"})
        assert answer["X-Request-ID"] == "edge-0123456789"

    @pytest.mark.parametrize("given", ["", "short", "x" * 65, "line\tbreak in it"])
    def test_is_made_anew_where_it_is_missing_or_odd(self, client, given):
        answer = client.get("/healthz", headers={"X-Request-ID": given})
        assert answer["X-Request-ID"] != given
        assert len(answer["X-Request-ID"]) == 36


@pytest.mark.django_db
class TestPolicy:
    def test_is_strict_everywhere_else(self, client):
        policy = client.get("/healthz")[POLICY]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy

    def test_lets_the_admin_evaluate_its_attributes(self, admin_client):
        assert "script-src 'self' 'unsafe-eval'" in admin_client.get("/admin/")[POLICY]

    def test_lets_the_documentation_style_itself_and_no_more(self, admin_client):
        policy = admin_client.get("/api/docs/")[POLICY]
        assert "style-src 'self' 'unsafe-inline'" in policy
        assert "unsafe-eval" not in policy


@pytest.mark.django_db
class TestTheAdminsDoor:
    def test_is_the_customers_sign_in_with_its_second_factor(self, client):
        answer = client.get("/admin/login/?next=/admin/")
        assert answer.status_code == 302
        assert answer.url.startswith("/accounts/login/")


@pytest.fixture
def closed(settings):
    settings.MAINTENANCE = True
    settings.MAINTENANCE_RETRY_AFTER = 120


@pytest.mark.usefixtures("closed")
class TestMaintenance:
    @pytest.mark.parametrize("address", ["/", "/home/", "/admin/", "/nowhere/"])
    def test_closes_every_page_without_asking_the_database(self, client, address):
        answer = client.get(address)
        assert answer.status_code == 503
        assert answer["Retry-After"] == "120"
        assert answer["Cache-Control"] == "no-store"
        assert "Closed for maintenance" in answer.content.decode()
        assert "default-src 'self'" in answer[POLICY]

    @pytest.mark.parametrize("address", ["/api/v1/orders", "/_allauth/app/v1/auth/login"])
    def test_answers_programs_with_a_problem(self, client, address):
        answer = client.post(address, {}, content_type="application/json")
        assert answer.status_code == 503
        assert answer["Retry-After"] == "120"
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "Maintenance"
        assert answer.json()["request_id"] == answer["X-Request-ID"]

    @pytest.mark.django_db
    def test_leaves_the_health_check_open(self, client):
        assert "database" in client.get("/healthz").json()


class TestSignInAgain:
    def test_reloads_the_page_whose_part_asked_after_the_session_ended(self, client):
        answer = client.get("/home/?part=hero", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert answer["HX-Refresh"] == "true"
        assert answer.content == b""

    def test_leads_a_whole_page_to_the_sign_in(self, client):
        assert client.get("/home/")["Location"] == "/accounts/login/?next=/home/"


@pytest.mark.django_db
class TestProblems:
    @pytest.mark.parametrize(
        ("method", "address", "headers", "status"),
        [
            ("get", "/api/v1/nowhere", {}, 404),
            ("get", "/_allauth/app/v1/nowhere", {}, 404),
            ("put", "/_allauth/app/v1/config", {}, 405),
            ("get", "/api/v1/instruments", {"Host": "evil.test"}, 400),
            ("post", "/webhooks/nowhere", {}, 404),
            ("get", "/api/v1/instruments?" + "a=1&" * 1001, {}, 400),
            ("post", "/api/v1/orders", {}, 401),
        ],
    )
    def test_answer_programs_whatever_goes_wrong(self, client, method, address, headers, status):
        answer = getattr(client, method)(address, headers=headers)
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["request_id"] == answer["X-Request-ID"]

    def test_answer_a_forged_form(self):
        strict = Client(enforce_csrf_checks=True)
        answer = strict.post("/_allauth/browser/v1/auth/login", {}, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")

    def test_answer_a_bug_with_the_name_it_is_logged_under(self, client, monkeypatch):
        def fail(**_):
            raise ZeroDivisionError

        monkeypatch.setattr("instruments.queries.search", fail)
        client.raise_request_exception = False
        answer = client.get("/api/v1/instruments", headers={"X-Request-ID": "12345678"})
        assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
        assert (answer.json()["code"], answer.json()["request_id"]) == ("ServerError", "12345678")

    def test_leave_allauths_own_answers_as_they_are(self, client):
        answer = client.get("/_allauth/app/v1/auth/session")
        assert answer.status_code == 401
        assert "flows" in answer.json()["data"]

    def test_leave_pages_as_they_are(self, client):
        answer = client.get("/nowhere/")
        assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.django_db
class TestReadable:
    @pytest.mark.parametrize(
        "address",
        [
            "/markets/?search=%00",
            "/accounts/login/?next=%00",
        ],
    )
    def test_refuses_nul_in_the_query_of_a_page(self, client, address):
        answer = client.get(address)
        assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")

    def test_refuses_nul_in_a_form_of_a_page(self, client):
        form = "application/x-www-form-urlencoded"
        answer = client.post("/accounts/login/", "login=a%00@b.test", content_type=form)
        assert answer.status_code == 400

    def test_refuses_nul_in_a_search_of_staff(self, admin_client):
        assert admin_client.get("/admin/users/user/?q=%00").status_code == 400

    def test_refuses_nul_in_a_cookie(self, client):
        client.cookies["sessionid"] = "\0" + "a" * 31  # sent as "\000aaa…"
        assert client.get("/home/").status_code == 400

    def test_refuses_nul_in_the_query_of_a_program_as_a_problem(self, client):
        answer = client.get("/api/v1/instruments?search=%00")
        assert (answer.status_code, answer.json()["code"]) == (400, "Unreadable")

    @pytest.mark.parametrize("path", ["/api/v1/instruments/A%00", "/markets/%00/", "/%00"])
    def test_finds_nothing_at_an_address_with_nul(self, client, path):
        assert client.get(path).status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            "[" * 50_000,
            '{"email": "a@b.test", "email": "c@b.test", "password": "x"}',
            '{"email": "a\\u0000@b.test", "password": "x"}',
            '{"email": "a@b.test", "password": "\\ud800"}',
            "{",
        ],
        ids=["deep", "twice", "NUL", "surrogate", "torn"],
    )
    def test_reads_what_allauth_reads_strictly(self, client, body):
        answer = client.post("/_allauth/app/v1/auth/login", body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "Unreadable")
        assert answer["Content-Type"] == "application/problem+json"

    def test_lets_a_good_sign_in_through(self, client):
        body = {"email": "nobody@demo.test", "password": "x"}
        answer = client.post("/_allauth/app/v1/auth/login", body, content_type="application/json")
        assert answer.json()["errors"][0]["code"] == "email_password_mismatch"
