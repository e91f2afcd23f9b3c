import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = re.compile(r"""(?:environ\.get|env_bool|env_list|env_secret)\(\s*"([A-Z_]+)\"""")


class TestConfiguration:
    def test_is_documented_variable_by_variable(self):
        sources = [path for path in ROOT.glob("*/**/*.py") if "tests" not in path.parts]
        mine = [path for path in sources if ".venv" not in path.parts]
        read = {name for path in mine for name in READ.findall(path.read_text())} - {"PATH"}
        documented = set(
            re.findall(r"`([A-Z_]{4,})`", (ROOT / "docs/configuration.md").read_text())
        )
        assert read
        assert read <= documented

    def test_documents_nothing_that_is_not_there(self):
        documented = set(
            re.findall(
                r"^\| `([A-Z_]{4,})`", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE
            )
        )
        sources = (ROOT / "krakapp").rglob("*.py")
        everything = "".join(path.read_text() for path in sources)
        assert documented
        assert [name for name in documented if f'"{name}"' not in everything] == []
