"""A plugin of pytest that lets one module be imported as a mutant's code, from a file."""

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and runs other code for it."""

    def __init__(self, module: str, code: Path) -> None:
        """Take the module's path in the tree, and the file of the mutant's code."""
        self.path, self.code = ROOT / module, code
        self.name = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the one module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's code as the module."""
        exec(compile(self.code.read_text(), str(self.path), "exec"), module.__dict__)  # noqa: S102


sys.meta_path.insert(0, Planter(os.environ["MUTANT_MODULE"], Path(os.environ["MUTANT_CODE"])))
