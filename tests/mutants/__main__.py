"""`make mutants`: plant one mistake at a time in code that carries money, and see who notices.

Each module of `modules.toml` is mutated in a copy of the tree, and its tests run against the copy.
What they do not notice is listed, unless `equivalent.toml` says why it changes nothing. `ONLY`
names the modules that are to be tried, or how their names begin.
"""

import itertools
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.mutating import mutate_code

from tests.mutants.operators import operators

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
COPIES = ROOT / "var" / "mutants"
WANTED = 0.95
GUARD = re.compile(r"\b(strict|robust)=\w+")
PATIENCE_S = 60  # a mutant that never ends is noticed
QUIET = ("-p", "pytest_django.plugin", "-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one mistake in it."""

    module: str
    operator: str
    line: int
    before: str
    after: str
    code: str

    @property
    def change(self) -> str:
        """What was changed, without where: it outlives other changes of the module."""
        return f"{self.before} -> {self.after}"


class Copy:
    """A copy of the tree with servers of its own, in which tests run against one mutant."""

    def __init__(self, number: int) -> None:
        """Copy what git knows."""
        self.path = COPIES / str(number)
        shutil.rmtree(self.path, ignore_errors=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def passes(self, tests: list[str], *, writes_bytecode: bool = False) -> bool:
        """Run tests, and say whether all of them passed in time."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", *QUIET, *tests]
        environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "1"}
        environment["KRAKAPP_HOME"] = str(self.path / "var/test")
        if not writes_bytecode:  # two mutants of one second would look alike
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            command,
            cwd=self.path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(None if writes_bytecode else PATIENCE_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False

    def notices(self, mutant: Mutant, tests: list[str]) -> bool:
        """Plant a mutant, run the tests, and take it back."""
        file = self.path / mutant.module
        kept, times = file.read_bytes(), file.stat()
        file.write_text(mutant.code)
        try:
            return not self.passes(tests)
        finally:
            file.write_bytes(kept)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def mutants_of(module: str) -> Iterator[Mutant]:
    """Give each mutant of a module that is another program, and compiles."""
    source = (ROOT / module).read_text()
    seen = {source}
    for operator in operators():
        for occurrence in itertools.count():
            code = mutate_code(source, operator, occurrence)
            if code is None:
                break
            if code in seen or not _compiles(code):
                continue
            seen.add(code)
            pairs = zip(source.splitlines(), code.splitlines(), strict=False)
            line, (before, after) = next(
                (number, pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1]
            )
            if not _is_guard(before, after):
                name = type(operator).__name__
                yield Mutant(module, name, line, before.strip(), after.strip(), code)


def _is_guard(before: str, after: str) -> bool:
    """Say whether only a decorator changed, or a guard against what no caller does."""
    return before.startswith("@") or GUARD.sub("", before) == GUARD.sub("", after)


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


class Run:
    """All mutants of the chosen modules, shared out among copies of the tree."""

    def __init__(self, modules: dict[str, list[str]], explained: set[tuple[str, str]]) -> None:
        """Make the mutants.

        :param modules: the tests of each module
        :param explained: (module, change) of the mutants that change nothing
        """
        self.modules, self.explained = modules, explained
        self.waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        self.survivors: list[Mutant] = []
        self.done: Counter[str] = Counter()
        self.total = 0
        for module in modules:
            for mutant in mutants_of(module):
                if (module, mutant.change) not in explained:
                    self.waiting.put(mutant)
                    self.total += 1
        self.began = time.monotonic()
        self._lock = threading.Lock()

    def work(self, copy: Copy) -> None:
        """Try mutants until none waits."""
        while True:
            try:
                mutant = self.waiting.get_nowait()
            except queue.Empty:
                return
            noticed = copy.notices(mutant, self.modules[mutant.module])
            with self._lock:
                self.done[mutant.module] += 1
                if not noticed:
                    self.survivors.append(mutant)
                    print(f"  {mutant.module}:{mutant.line} {mutant.change}", flush=True)
                if self.done.total() % 20 == 0:
                    print(self.progress(), flush=True)

    def progress(self) -> str:
        """Say how far it is, and how long the rest will take."""
        done = self.done.total()
        left_s = (time.monotonic() - self.began) / done * (self.total - done)
        noticed = 1 - len(self.survivors) / done
        return f"{done} of {self.total}, {noticed:.1%} noticed, {left_s / 60:.0f} min left"

    def report(self) -> float:
        """Print what each module's tests notice, and give the share over all."""
        missed = Counter(mutant.module for mutant in self.survivors)
        for module, count in self.done.items():
            print(f"{1 - missed[module] / count:7.1%} of {count:4}  {module}")
        share = 1 - len(self.survivors) / max(1, self.total)
        print(f"{share:7.1%} of {self.total:4}  noticed; {len(self.explained)} change nothing")
        return share


def main() -> int:
    """Try the chosen modules; 0 if enough was noticed."""
    listed = tomllib.loads((HERE / "modules.toml").read_text())
    only = tuple(os.environ.get("ONLY", "").split()) or ("",)
    modules = {name: tests for name, tests in listed.items() if name.startswith(only)}
    equivalent = tomllib.loads((HERE / "equivalent.toml").read_text())["mutant"]
    explained = {(one["module"], one["change"]) for one in equivalent}
    copies = [Copy(number) for number in range(os.cpu_count() or 1)]
    tests = sorted(set(itertools.chain.from_iterable(modules.values())))
    if not all(copy.passes(tests, writes_bytecode=True) for copy in copies):
        print("The tests fail without any mistake planted.")
        return 2
    run = Run(modules, explained)
    print(f"{run.total} mutants of {len(modules)} modules in {len(copies)} copies")
    threads = [threading.Thread(target=run.work, args=[copy]) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if run.report() >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
