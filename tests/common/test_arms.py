"""What the tests of audits take for an arm of a check: what they miss is planted by nobody."""

import pytest

from tests import arms


class TestArms:
    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("SELECT 1 FROM t WHERE a AND b", []),
            ("SELECT 1 FROM t WHERE a OR b ORDER BY c", ["a", "b"]),
            ("SELECT 1 FROM t WHERE a AND (b OR (c AND d))", ["b", "(c AND d)"]),
            ("SELECT 1 FROM t GROUP BY e HAVING a OR b", ["a", "b"]),
            ("SELECT ' or ', 1 -- or\n FROM t", []),
            ("SELECT 1 UNION ALL SELECT 2", ["SELECT 1", "SELECT 2"]),
            ("WITH w AS (SELECT 0) SELECT 1 UNION SELECT 2", ["SELECT 1", "SELECT 2"]),
            ("(SELECT 1) UNION ALL SELECT 2", ["(SELECT 1)", "SELECT 2"]),
            (
                "SELECT 0 FROM ((SELECT 1 EXCEPT SELECT 2) UNION ALL (SELECT 3)) AS d",
                ["(SELECT 1 EXCEPT SELECT 2)", "(SELECT 3)"],
            ),
        ],
    )
    def test_are_the_parts_of_a_union_and_the_operands_of_an_or(
        self, sql: str, said: list[str]
    ) -> None:
        assert [arm.said for arm in arms.arms_of(sql)] == said

    def test_say_the_query_without_them(self) -> None:
        first, second = arms.arms_of("SELECT 0 UNION ALL (SELECT 1)")
        without = [" ".join(arm.without.split()) for arm in (first, second)]
        assert without == [
            "SELECT * FROM (SELECT 0) AS lost WHERE false UNION ALL (SELECT 1)",
            "SELECT 0 UNION ALL SELECT * FROM ((SELECT 1)) AS lost WHERE false",
        ]
