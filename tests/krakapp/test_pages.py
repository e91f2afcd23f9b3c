"""The pages that belong to no app: landing, design system, errors."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client
from django.urls import resolve

from krakapp.storage import joined
from market.models import ReferencePrice
from tests import world

TEMPLATES = Path(settings.BASE_DIR, "templates")
COMPONENT = re.compile(r'{% component "([a-z_]+)"')


@pytest.mark.django_db
class TestLanding:
    def test_shows_strangers_the_prices_of_names_they_know(self, client: Client) -> None:
        ReferencePrice.objects.update_or_create(
            instrument=world.instrument("AAPLx"),
            defaults={
                "price": Decimal("278.50"),
                "day_open": Decimal("275.00"),
                "simulated": True,
                "at": world.NOW,
            },
        )
        page = client.get("/").content.decode()
        assert 'symbol="AAPLx"' in page
        assert "+1.27%" in page
        assert "Simulated prices" in page

    def test_sends_home_who_is_signed_in(self, client: Client) -> None:
        client.force_login(world.bob())
        response = client.get("/")
        assert response.status_code == 302
        assert response["Location"] == "/home/"


@pytest.mark.django_db
class TestDesign:
    def test_shows_every_component(self, client: Client) -> None:
        page = client.get("/design/").content.decode()
        for name in ("panel", "badge", "notice", "steps", "pay-card", "dialog", "empty", "table"):
            assert f'class="{name}' in page

    def test_leaves_no_component_out(self) -> None:
        pages = {one: one.read_text() for one in TEMPLATES.rglob("*.html")}
        used = {name for text in pages.values() for name in COMPONENT.findall(text)}
        shown = COMPONENT.findall(pages[TEMPLATES / "krakapp/design.html"])
        assert used - {*shown, "toast"} == set()  # the frame itself makes toasts


@pytest.mark.django_db
class TestHelp:
    def test_answers_strangers_and_says_where_to_write(self, client: Client) -> None:
        page = client.get("/help/").content.decode()
        assert page.count("<details") > 10
        assert 'href="mailto:hello@krakapp.test"' in page


@pytest.mark.django_db
class TestInstalledApp:
    def test_has_a_manifest_whose_icons_exist(self, client: Client) -> None:
        answer = client.get("/manifest.webmanifest")
        assert answer["Content-Type"] == "application/manifest+json"
        manifest = answer.json()
        assert '<link rel="manifest" href="/manifest.webmanifest">' in (
            client.get("/offline/").content.decode()
        )
        assert {icon["sizes"] for icon in manifest["icons"]} >= {"any", "192x192", "512x512"}
        for icon in manifest["icons"]:
            assert finders.find(icon["src"].removeprefix("/static/")), icon
        for door in (manifest["start_url"], *(one["url"] for one in manifest["shortcuts"])):
            assert resolve(door)

    def test_keeps_files_that_exist_and_no_page_but_one(self, client: Client) -> None:
        answer = client.get("/sw.js")
        assert answer["Content-Type"].startswith("text/javascript")
        assert answer["Cache-Control"] == "no-cache"
        found = re.search(r"const SHELL = (\[.*\]);", answer.content.decode())
        assert found
        shell = json.loads(found[1])
        assert "/static/css/app.css" in shell
        missing = [one for one in shell if not finders.find(one.removeprefix("/static/"))]
        assert missing == []

    def test_shows_the_same_offline_page_to_everybody(self, client: Client) -> None:
        before = client.get("/offline/").content
        assert b"You are offline" in before
        assert b"data-signed-in" not in before


class TestErrors:
    @pytest.mark.parametrize("name", ["403", "403_csrf", "404", "429", "500", "503", "maintenance"])
    def test_stand_in_the_frame_even_without_a_request(self, name: str) -> None:
        page = render_to_string(f"{name}.html")
        assert 'class="wordmark"' in page
        assert page.count("<h1") == 1


class TestStyles:
    def test_import_only_files_that_exist(self) -> None:
        sheet = Path(str(finders.find("css/app.css"))).read_text()
        names = re.findall(r'@import url\("([^"]+)"\)', sheet)
        assert len(names) > 10
        assert [name for name in names if not finders.find(f"css/{name}")] == []

    def test_are_served_as_one_sheet_with_every_layer_in_its_place(self) -> None:
        sheet = '@layer a, b;\n@import url("x.css") layer(a);\n@import url("y/z.css") layer(b);\n'
        files = {"x.css": "p { color: red; }", "y/z.css": "p { color: blue; }"}
        whole = joined(sheet, files.__getitem__)
        assert whole.index("@layer a {") < whole.index("red") < whole.index("@layer b {")
        assert whole.index("@layer b {") < whole.index("blue")
        own = Path(str(finders.find("css/app.css"))).read_text()
        assert "@import" not in joined(own, lambda _: "")
