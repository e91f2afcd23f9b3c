"""`make mutants`: plant one mistake at a time in code that carries money, and see who notices.

Each module of `modules.toml` is mutated in memory, and of its tests those run that reach the line.
What they do not notice is listed, unless `equivalent.toml` says why it changes nothing. `ONLY`
names the modules that are to be tried, or how their names begin.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.mutants.planting import ROOT, mutants_of

HERE = Path(__file__).parent
HOMES = ROOT / "var" / "mutants"
WANTED = 0.95
PATIENCE_S = 120  # a mutant that never ends is noticed
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
    *("-p", "pytest_django.plugin", "-p", "_hypothesis_pytestplugin"),
)


class Run:
    """All mutants of the chosen modules, shared out among processes."""

    def __init__(self, modules: dict[str, list[str]], explained: set[tuple[str, str]]) -> None:
        """Count the mutants.

        :param modules: the tests of each module
        :param explained: (module, change) of the mutants that change nothing
        """
        self.modules, self.explained = modules, explained
        self.mutants = {
            (module, mutant.line, mutant.change): mutant
            for module in modules
            for mutant in mutants_of(module)
        }
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.equivalent = 0
        self.broken = ""
        self.began = time.monotonic()
        self._lock = threading.Lock()

    def shares(self, count: int) -> list[dict[str, list[str]]]:
        """Deal the modules out, so that each share has about as many mutants."""
        sizes = Counter(module for module, _, _ in self.mutants)
        shares: list[dict[str, list[str]]] = [{} for _ in range(count)]
        for module, _ in sizes.most_common():
            least = min(shares, key=lambda share: sum(sizes[name] for name in share))
            least[module] = self.modules[module]
        return [share for share in shares if share]

    def work(self, share: int, modules: dict[str, list[str]]) -> None:
        """Let a process try the mutants of some modules, and read what becomes of each."""
        read, write = os.pipe()
        tests = sorted(set(itertools.chain.from_iterable(modules.values())))
        environment = self._environment(share) | {
            "MUTANTS_OF": json.dumps(modules),
            "MUTANTS_PIPE": str(write),
        }
        HOMES.mkdir(parents=True, exist_ok=True)
        with (HOMES / f"{share}.log").open("w") as log:
            process = subprocess.Popen(
                [*PYTEST, "-s", "-p", "tests.mutants.worker", *tests],
                cwd=ROOT,
                env=environment,
                pass_fds=[write],
                stdout=log,
                stderr=log,
            )
        os.close(write)
        at_import = []
        with os.fdopen(read) as told:
            for line in told:
                facts = json.loads(line)
                if "broken" in facts:
                    self.broken = facts["broken"]
                elif facts["outcome"] == "at import":
                    at_import.append(facts)
                else:
                    self.note(facts, noticed=facts["outcome"] == "noticed")
        process.wait()
        for facts in at_import:  # the servers of this share are free now
            self.note(facts, noticed=not self._survives_import(facts, share))

    def note(self, facts: dict[str, Any], *, noticed: bool) -> None:
        """Count a mutant, and print one that nobody noticed."""
        module, change = facts["module"], facts["change"]
        with self._lock:
            if not noticed and (module, change) in self.explained:
                self.equivalent += 1
                return
            self.done[module] += 1
            if not noticed:
                self.missed[module] += 1
                print(f"  {module}:{facts['line']} {change}", flush=True)
            if self.done.total() % 50 == 0:
                print(self.progress(), flush=True)

    def progress(self) -> str:
        """Say how far it is, and how long it took."""
        done, minutes = self.done.total(), (time.monotonic() - self.began) / 60
        noticed = 1 - self.missed.total() / done
        return f"{done} of {len(self.mutants)}, {noticed:.1%} noticed, {minutes:.0f} min"

    def report(self) -> float:
        """Print what each module's tests notice, and give the share over all."""
        for module, count in sorted(self.done.items()):
            print(f"{1 - self.missed[module] / count:7.1%} of {count:4}  {module}")
        done = max(1, self.done.total())
        share = 1 - self.missed.total() / done
        minutes = (time.monotonic() - self.began) / 60
        print(f"{share:7.1%} of {done:4}  noticed, in {minutes:.0f} minutes")
        print(f"           {self.equivalent:4}  change nothing, as equivalent.toml explains")
        return share

    def _survives_import(self, facts: dict[str, Any], share: int) -> bool:
        """Run a module's tests in a process that imports it as the mutant."""
        mutant = self.mutants[facts["module"], facts["line"], facts["change"]]
        with tempfile.NamedTemporaryFile("w", suffix=".py") as code:
            code.write(mutant.code)
            code.flush()
            environment = self._environment(share) | {
                "MUTANT_MODULE": mutant.module,
                "MUTANT_CODE": code.name,
            }
            command = [*PYTEST, "-p", "tests.mutants.planted", *self.modules[mutant.module]]
            try:
                ended = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=environment,
                    timeout=PATIENCE_S,
                    check=False,
                    capture_output=True,
                )
            except subprocess.TimeoutExpired:
                return False
        return ended.returncode == 0

    def _environment(self, share: int) -> dict[str, str]:
        home = str(HOMES / str(share))
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "1", "KRAKAPP_HOME": home}
        return os.environ | alone


def main() -> int:
    """Try the chosen modules; 0 if enough was noticed."""
    listed = tomllib.loads((HERE / "modules.toml").read_text())
    only = tuple(os.environ.get("ONLY", "").split()) or ("",)
    modules = {name: tests for name, tests in listed.items() if name.startswith(only)}
    equivalent = tomllib.loads((HERE / "equivalent.toml").read_text())["mutant"]
    run = Run(modules, {(one["module"], one["change"]) for one in equivalent})
    shares = run.shares(os.cpu_count() or 1)
    print(f"{len(run.mutants)} mutants of {len(modules)} modules in {len(shares)} processes")
    threads = [threading.Thread(target=run.work, args=each) for each in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if run.broken or not run.done:
        print(f"The tests fail without any mistake planted: {run.broken or f'see {HOMES}'}")
        return 2
    return 0 if run.report() >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
