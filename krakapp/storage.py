"""Static files: one style sheet; names with a hash of the content, inside our ES modules too."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

SHEET = "css/app.css"
IMPORT = re.compile(r'@import url\("(?P<name>[^"]+)"\) layer\((?P<layer>\w+)\);')


def joined(sheet: str, read: Callable[[str], str]) -> str:
    """Put every imported sheet in the place of its import, within its layer."""
    return IMPORT.sub(lambda one: f"@layer {one['layer']} {{\n{read(one['name'])}\n}}", sheet)


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Rewrites imports in `static/js/` only: vendored modules are taken as they come.

    The pattern is a private name of Django's, so Django stays pinned. The style sheet is written in
    many files and served as one: a phone would wait for each import.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", HashedFilesMixin._js_module_import_aggregation_patterns[1]),  # type: ignore[attr-defined]  # noqa: SLF001
    )

    def post_process(self, paths: dict[str, Any], **options: Any) -> Iterator[Any]:
        """Join the style sheet, then hash and compress everything."""
        if SHEET in paths and not options.get("dry_run"):
            sheet = joined(read(paths, SHEET), lambda name: read(paths, f"css/{name}"))
            self.delete(SHEET)
            self._save(SHEET, ContentFile(sheet.encode()))
            paths = {**paths, SHEET: (self, SHEET)}
        yield from super().post_process(paths, **options)


def read(paths: dict[str, Any], name: str) -> str:
    """Read one of the files as it was collected."""
    storage, path = paths[name]
    with storage.open(path) as file:
        return str(file.read().decode())
