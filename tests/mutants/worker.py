"""A plugin of pytest that runs tests against mutants instead of once.

The tests are collected and run once, while coverage notes which of them reach which line and how
long they take. Then a fork for each mutant plants it in its own memory, and runs the tests that
reach its line, the quickest first, until one fails. Each outcome is a line of JSON on the pipe.
"""

import importlib
import json
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from django.db import connections
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings

from tests.mutants.planting import ROOT, Mutant, Soil, mutants_of

MODULES = json.loads(os.environ["MUTANTS_OF"])  # a list of tests by module
PIPE = int(os.environ["MUTANTS_PIPE"])
NOTICED, SURVIVED, AT_IMPORT = "noticed", "survived", "at import"
PATIENCE_S = 20.0  # and three times what its tests take: who does not end is noticed

# A failure is all that is asked for: nobody waits for the smallest example.
hypothesis_settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)
hypothesis_settings.load_profile("mutants")


def tell(**facts: Any) -> None:
    """Write a line to who started this."""
    os.write(PIPE, (json.dumps(facts) + "\n").encode())


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests once, then against each mutant of the modules."""
    tests = Tests(session.items)
    if failed := tests.learn():
        tell(broken=failed)
        return True
    for module in MODULES:
        name = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        soil = Soil(importlib.import_module(name))
        for mutant in mutants_of(module):
            outcome = tests.try_mutant(soil, mutant)
            tell(module=module, line=mutant.line, change=mutant.change, outcome=outcome)
    return True


class Tests:
    """The collected tests, and what is known of them."""

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        """Take the items."""
        self.items = {item.nodeid: item for item in items}
        self.seconds: dict[str, float] = {}
        self.reaching: dict[str, dict[int, list[str]]] = {}

    def learn(self) -> str:
        """Run all of them once; give the first that fails, or nothing."""
        noted = coverage.Coverage(include=[str(ROOT / name) for name in MODULES], data_file=None)
        noted.start()
        try:
            for name, item in self.items.items():
                noted.switch_context(name)
                began = time.monotonic()
                if not self._passes(item):
                    return f"{name}\n{self.said}"
                self.seconds[name] = time.monotonic() - began
        finally:
            noted.stop()
        data = noted.get_data()
        for module in MODULES:
            self.reaching[module] = data.contexts_by_lineno(str(ROOT / module))
        return ""

    def try_mutant(self, soil: Soil, mutant: Mutant) -> str:
        """Say what became of a mutant."""
        if soil.code_of(mutant) is None:
            return AT_IMPORT
        names = self._reaching(mutant)
        if not names:
            return SURVIVED
        connections.close_all()
        child = os.fork()
        if not child:
            self._run_planted(soil, mutant, names)
        patience_s = PATIENCE_S + 3 * sum(self.seconds[name] for name in names)
        return SURVIVED if self._wait(child, patience_s) == 0 else NOTICED

    def _reaching(self, mutant: Mutant) -> list[str]:
        """List the tests that reach a mutant's line, of its module's own, the quickest first.

        A line in the middle of a statement may belong to the one above.
        """
        lines = self.reaching[mutant.module]
        line = next((n for n in range(mutant.line, 0, -1) if any(lines.get(n, ()))), 0)
        own = tuple(MODULES[mutant.module])
        names = {name for name in lines.get(line, ()) if name.startswith(own)}
        return sorted(names, key=lambda name: self.seconds[name])

    def _run_planted(self, soil: Soil, mutant: Mutant, names: Sequence[str]) -> None:
        """Plant a mutant in this fork and run tests: it ends with 1 at the first that fails."""
        os.setsid()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        try:
            soil.plant(mutant)
            passed = all(self._passes(self.items[name]) for name in names)
        except BaseException:  # noqa: BLE001 - whatever a mutant does, this fork ends here
            passed = False
        os._exit(0 if passed else 1)

    def _passes(self, item: pytest.Item) -> bool:
        """Run a test; what its session needs stays, as if the next one were the session."""
        reports = runtestprotocol(item, nextitem=item.session, log=False)  # type: ignore[arg-type]
        self.said = "\n".join(report.longreprtext for report in reports if report.failed)
        return not any(report.failed for report in reports)

    def _wait(self, child: int, patience_s: float) -> int:
        """Give a fork's exit code; who takes too long is killed, and the database put right."""
        ends = time.monotonic() + patience_s
        while time.monotonic() < ends:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self._restore()
        return -1

    def _restore(self) -> None:
        from django.conf import settings  # noqa: PLC0415 - set up by now

        from tests.database import Bed  # noqa: PLC0415

        Bed(settings.DATABASES).restore()
