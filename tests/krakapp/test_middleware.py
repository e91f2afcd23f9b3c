import pytest

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
