"""What makes the web app installable: its manifest, and the list of files its shell consists of."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse

CANVAS_DARK = "#0c0f14"
BESIDES = (
    "css/app.css",
    "favicon.svg",
    "vendor/inter/inter-latin-wght-normal.woff2",
    "vendor/lucide/sprite.svg",
    "django_htmx/htmx-2.min.js",
)


def manifest() -> dict[str, Any]:
    """Describe the app to the system that installs it (W3C Web Application Manifest)."""
    return {
        "id": "/",
        "name": "KrakApp",
        "short_name": "KrakApp",
        "description": "Own a piece of the companies you know, at any hour.",
        "start_url": reverse("portfolio:home"),
        "scope": "/",
        "display": "standalone",
        "lang": "en",
        "categories": ["finance"],
        "theme_color": CANVAS_DARK,
        "background_color": CANVAS_DARK,
        "icons": [
            icon("favicon.svg", "any", "image/svg+xml"),
            icon("icons/icon-192.png", "192x192"),
            icon("icons/icon-512.png", "512x512"),
            icon("icons/maskable-512.png", "512x512") | {"purpose": "maskable"},
        ],
        "shortcuts": [
            {"name": "Markets", "url": reverse("market:instruments")},
            {"name": "Deposit", "url": reverse("payments:deposit")},
            {"name": "Card", "url": reverse("spending:cards")},
        ],
    }


def icon(path: str, sizes: str, kind: str = "image/png") -> dict[str, str]:
    """Describe one icon of the manifest."""
    return {"src": static(path), "sizes": sizes, "type": kind}


@cache
def shell() -> tuple[str, list[str]]:
    """List the addresses of our styles, scripts, font and icons, under a version of them.

    Names carry a hash of the content, so a new release has a new version.
    """
    root = Path(settings.STATICFILES_DIRS[0])
    scripts = [path.relative_to(root) for path in root.glob("js/**/*.js")]
    addresses = sorted(static(str(path)) for path in (*scripts, *BESIDES))
    return sha256("\n".join(addresses).encode()).hexdigest()[:12], addresses
