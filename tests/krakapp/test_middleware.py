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
