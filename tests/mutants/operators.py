"""The mistakes that are planted: those of Cosmic Ray that people make, and some of our own.

Cosmic Ray also replaces each operator by each other one; nobody writes `a ** b` for `a + b`, and
every test notices. Ours are what went wrong in money code: a rounding to the other side, the other
side's fee, a filter that was forgotten, a statement that never ran.
"""

import re
from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider
from parso.python.tree import Name

Position = tuple[tuple[int, int], tuple[int, int]]

PLAUSIBLE = re.compile(
    r"ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_Gt|Gt_Lt|LtE_GtE|GtE_LtE"
    r"|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Div_Mul|FloorDiv_Mul|FloorDiv_Div|Mod_Add)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not)"
    r"|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop"
)

SWAPS = [
    ("ROUND_CEILING", "ROUND_FLOOR"),
    ("ROUND_UP", "ROUND_DOWN"),
    ("min", "max"),
    ("any", "all"),
    ("buy_fee", "sell_fee"),
    ("maker_rate", "taker_rate"),
    ("buy_order", "sell_order"),
    ("buy_order_id", "sell_order_id"),
    ("debit", "credit"),
    ("debit_id", "credit_id"),
    ("posted", "held"),
    ("BUY", "SELL"),
    ("bid", "ask"),
]
OTHER = dict(SWAPS) | {second: first for first, second in SWAPS}
NARROWING = {"filter", "exclude", "get", "get_or_create", "update"}


class NextNumber(NumberReplacer):
    """Takes the next number up or down, where a number says how much and not which."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Find the numbers of expressions, but for indexes and the module's own constants."""
        if node.type == "number" and not _is_index(node) and not _is_constant(node):
            yield from super().mutation_positions(node)


class SwapName(Operator):
    """Takes the other of two names that stand side by side in one's mind."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Find the names that have a twin, where they are used."""
        if isinstance(node, Name) and node.value in OTHER and not node.is_definition():
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Take the twin."""
        return Name(OTHER[node.value], node.start_pos, prefix=node.prefix)

    @classmethod
    def examples(cls) -> tuple[()]:
        """Give none: they are for Cosmic Ray's own tests."""
        return ()


class DropStatement(Operator):
    """Leaves a call or an augmented assignment out that stands alone on its line."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Find the statements whose effect is all they are for."""
        if node.type == "simple_stmt" and _acts(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Do nothing instead."""
        first = node.children[0]
        node.children[0] = Name("pass", first.start_pos, prefix=first.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """Give none: they are for Cosmic Ray's own tests."""
        return ()


class DropArgument(Operator):
    """Forgets one condition of a query, or one column of an update."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Find the named arguments of calls that narrow a queryset."""
        for argument in _conditions(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Leave the argument and its comma out."""
        dropped = list(_conditions(node))[index]
        arguments = node.children[1]
        if arguments is dropped:
            del node.children[1]
            return node
        at = arguments.children.index(dropped)
        del arguments.children[at : at + 2]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """Give none: they are for Cosmic Ray's own tests."""
        return ()


def _is_index(number: Any) -> bool:
    """Say whether it chooses one thing of many: `row[0]`."""
    around = number.parent
    return around.type == "trailer" and around.children[0].value == "["


def _is_constant(number: Any) -> bool:
    """Say whether it has a name, `BATCH = 500` or `status = 409`: a choice, not a sum."""
    line = number.search_ancestor("expr_stmt")
    return line is not None and line.search_ancestor("funcdef") is None


def _acts(statement: Any) -> bool:
    if statement.get_first_leaf().value == "logger":
        return False
    if statement.type in {"atom_expr", "power"}:
        return bool(statement.children[-1].type == "trailer")
    return (
        statement.type == "expr_stmt"
        and statement.children[1].type == "operator"
        and (statement.children[1].value not in {"=", ":"})
    )


def _conditions(node: Any) -> Iterator[Any]:
    """Give the named arguments of a trailer `(…)` that follows one of the narrowing methods."""
    if node.type != "trailer" or node.children[0].value != "(" or len(node.children) < 3:
        return
    before = node.get_previous_sibling()
    if before is None or before.type != "trailer" or before.children[-1].value not in NARROWING:
        return
    arguments = node.children[1]
    each = arguments.children if arguments.type == "arglist" else [arguments]
    yield from (one for one in each if one.type == "argument" and one.children[1] == "=")


def operators() -> Iterator[Operator]:
    """Give every mistake that is planted."""
    provider = OperatorProvider()
    yield from (provider[name]() for name in provider if PLAUSIBLE.fullmatch(name))
    yield from (NextNumber(), SwapName(), DropStatement(), DropArgument())
