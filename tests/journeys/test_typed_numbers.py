"""The page's reader of numbers, held against the table of the server's."""

import csv
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests/common/typed_numbers.csv"
SCRIPT = (ROOT / "static/js/numbers.js").read_text(encoding="utf-8")


def test_reads_what_the_table_says(browser: Browser) -> None:
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    page = browser.new_page()
    page.add_script_tag(type="module", content=f"{SCRIPT}\nwindow.read = readNumber;")
    read = page.evaluate(
        "rows => rows.map(([typed, format]) => window.read(typed, format))",
        [(row["typed"], row["format"]) for row in rows],
    )
    wanted = [None if row["reads"] == "refused" else Decimal(row["reads"]) for row in rows]
    got = [said and Decimal(said) for said in read]
    wrong = [(row, said) for row, want, said in zip(rows, wanted, got, strict=True) if want != said]
    assert wrong == []


def test_writes_what_it_reads(browser: Browser) -> None:
    page = browser.new_page()
    page.add_script_tag(
        type="module", content=f"{SCRIPT}\nObject.assign(window, {{ readNumber, writeNumber }});"
    )
    written = page.evaluate(
        "() => ['en', 'de', 'ch', 'fr'].map((one) => [writeNumber('1234567.50', one),"
        " readNumber(writeNumber('1234567.50', one), one)])"
    )
    assert [text for text, _ in written] == [
        "1,234,567.50",
        "1.234.567,50",
        "1\u2019234\u2019567.50",
        "1\u202f234\u202f567,50",
    ]
    assert {back for _, back in written} == {"1234567.50"}
