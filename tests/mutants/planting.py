"""Mutants: what they are, and how one is planted in a program that runs."""

import gc
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from cosmic_ray.mutating import mutate_code

from tests.mutants.operators import operators

ROOT = Path(__file__).resolve().parents[2]
GUARD = re.compile(r"\b(strict|robust|no_key)=\w+")  # without no_key a lock is only stronger

# A function of a module: its qualified name and its first line.
Place = tuple[str, int]


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


class Soil:
    """A module of this process, whose functions can be given a mutant's code."""

    def __init__(self, module: ModuleType) -> None:
        """Find the module's functions, wherever they are referred to."""
        self.path = str(module.__file__)
        self.code = compile(Path(self.path).read_text(), self.path, "exec")
        self.functions: dict[Place, list[FunctionType]] = defaultdict(list)
        for found in gc.get_objects():
            if type(found) is FunctionType and found.__globals__ is module.__dict__:
                self.functions[_place(found.__code__)].append(found)

    def code_of(self, mutant: Mutant) -> dict[Place, CodeType] | None:
        """Give a mutant's code for each function; None where more than functions changed."""
        code = compile(mutant.code, self.path, "exec")
        if _outline(code) != _outline(self.code):
            return None  # a default, a class's own line, a constant: that runs at import
        return dict(_functions(code))

    def plant(self, mutant: Mutant) -> None:
        """Give the functions a mutant's code, in this process and for good."""
        for place, code in (self.code_of(mutant) or {}).items():
            for function in self.functions.get(place, ()):
                function.__code__ = code


def _is_guard(before: str, after: str) -> bool:
    """Say whether only a decorator changed, or a guard against what no caller does."""
    return before.startswith("@") or GUARD.sub("", before) == GUARD.sub("", after)


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _place(code: CodeType) -> Place:
    return code.co_qualname, code.co_firstlineno


def _is_function(code: CodeType) -> bool:
    """Tell a function from a class's body; a lambda has no name of its own to be found by."""
    return bool(code.co_flags & 2) and "<lambda>" not in code.co_qualname


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield from (one for one in code.co_consts if isinstance(one, CodeType))


def _functions(code: CodeType) -> Iterator[tuple[Place, CodeType]]:
    """Give the functions and methods of a module; what stands inside them goes with them."""
    for one in _nested(code):
        if _is_function(one):
            yield _place(one), one
        else:
            yield from _functions(one)


def _outline(code: CodeType) -> Any:
    """Say what a module does at import: its code, with functions as names."""
    consts = [
        (_place(one) if _is_function(one) else _outline(one)) if isinstance(one, CodeType) else one
        for one in code.co_consts
    ]
    return code.co_code, code.co_names, repr(consts)
