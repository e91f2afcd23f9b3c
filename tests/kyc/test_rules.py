from datetime import date

import pytest

from kyc import rules
from kyc.rules import Restriction, Ties

POLICY = [
    Restriction("US", "residence", "not in the US"),
    Restriction("US", "citizenship", "not for citizens of the US"),
    Restriction("US", "us_person", "not for US persons"),
    Restriction("IR", "citizenship", "not for citizens of Iran"),
]
PARIS = {"residence": "FR", "citizenship": "FR", "tax_residence": "FR", "us_person": False}


class TestJurisdiction:
    def test_passes_somebody_without_restricted_ties(self):
        assert rules.jurisdiction(Ties(**PARIS), POLICY).outcome == "pass"

    @pytest.mark.parametrize(
        ("tie", "reason"),
        [
            ({"residence": "US"}, "not in the US"),
            ({"citizenship": "US"}, "not for US persons"),
            ({"us_person": True}, "not for US persons"),
            ({"citizenship": "IR"}, "not for citizens of Iran"),
        ],
    )
    def test_fails_on_any_restricted_tie_with_its_reason(self, tie, reason):
        finding = rules.jurisdiction(Ties(**PARIS | tie), POLICY)
        assert (finding.outcome, finding.reason) == ("fail", reason)

    def test_takes_each_ground_by_itself(self):
        assert rules.jurisdiction(Ties(**PARIS | {"residence": "IR"}), POLICY).outcome == "pass"

    def test_speaks_of_residence_first(self):
        ties = Ties(**PARIS | {"residence": "US", "us_person": True, "citizenship": "IR"})
        assert rules.jurisdiction(ties, reversed(POLICY)).reason == "not in the US"

    def test_passes_everybody_without_a_policy(self):
        assert rules.jurisdiction(Ties("US", "US", "US", us_person=True), []).outcome == "pass"


class TestAge:
    @pytest.mark.parametrize(
        ("birth", "today", "outcome"),
        [
            (date(2008, 11, 22), date(2026, 11, 22), "pass"),
            (date(2008, 11, 23), date(2026, 11, 22), "fail"),
            (date(2008, 2, 29), date(2026, 2, 28), "fail"),
            (date(2008, 2, 29), date(2026, 3, 1), "pass"),
            (date(1899, 1, 1), date(2026, 11, 22), "indeterminate"),
            (date(1905, 11, 23), date(2026, 11, 22), "pass"),
            (date(1905, 11, 22), date(2026, 11, 22), "indeterminate"),
        ],
    )
    def test_opens_the_door_on_the_eighteenth_birthday(self, birth, today, outcome):
        assert rules.age(birth, today).outcome == outcome


class TestAddress:
    @pytest.mark.parametrize("street", ["P.O. Box 12", "PO Box 7", "Postfach 33", "Postbus 4"])
    def test_leaves_a_post_office_box_to_a_person(self, street):
        assert rules.address(street).outcome == "indeterminate"

    @pytest.mark.parametrize("street", ["12 rue des Lilas", "Boxhagener Str. 3", "Post Road 9"])
    def test_passes_a_street(self, street):
        assert rules.address(street).outcome == "pass"


class TestMissingAgreements:
    def test_counts_only_the_present_version(self):
        accepted = [(one.document, one.version) for one in rules.AGREEMENTS]
        assert rules.missing_agreements(accepted) == []
        accepted[0] = ("terms", "2019-01")
        assert [one.document for one in rules.missing_agreements(accepted)] == ["terms"]
