"""`make bench`: run every measurement beside this file, print its table, write `var/bench.json`.

A measurement is a module with `measure()`, which gives one dictionary of numbers for each row.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULT = HERE.parent / "var/bench.json"


def main() -> None:
    """Measure one thing after the other: side by side they would measure each other."""
    result: dict[str, list[dict[str, Any]]] = {}
    for name in sorted(path.stem for path in HERE.glob("[a-z]*.py")):
        result[name] = import_module(f"bench.{name}").measure()
        sys.stdout.write(f"\n{name}\n{table(result[name])}\n")
        sys.stdout.flush()
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows under their names, right-aligned."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([text(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def text(value: object) -> str:
    """Write a value, numbers with as many digits as one looks at."""
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
