"""The bank's statement against the books: what agrees, what differs, and files that attack."""

from datetime import date, timedelta

import pytest
from django.urls import reverse

from common.invariants import find_breaks
from payments import gateways, operations, queries
from payments.gateways.statements import Entry, Folder, SimulatedRecord, StatementMalformed
from payments.models import BankCredit, BankStatement, StatementEntry
from tests import world

DAY = world.NOW.date()
NEXT = world.NOW + timedelta(days=1)
LATER = world.NOW + timedelta(days=2)
IBAN = "LT55 9999 9000 0000 0017"


def entry(external_id, amount, reference="", day=DAY):
    return Entry(external_id, reference, world.usd(amount), day)


@pytest.fixture
def record(tmp_path, monkeypatch):
    kept = SimulatedRecord(tmp_path / "record.jsonl")
    monkeypatch.setattr(gateways, "statement_source", lambda: kept)
    monkeypatch.setattr("payments.gateways.statements.ONE_LATE_OF", 10**12)  # none is late
    return kept


def fund(user, amount, external_id):
    world.instrument()
    instruction = operations.announce_deposit(user=user, amount=world.usd(amount), now=world.NOW)
    operations.receive_bank_credit(
        external_id=external_id,
        reference=instruction.reference,
        amount=world.usd(amount),
        now=world.NOW,
    )
    return instruction


def broken():
    return {found.detail for found in find_breaks(queries.CHECKS)}


@pytest.mark.django_db
class TestImportStatements:
    def test_finds_what_was_posted_though_entries_come_twice_and_in_no_order(self, record):
        alice = world.alice()
        for number in range(3):
            fund(alice, "10", f"bank-{number}")
            record.book([entry(f"bank-{number}", "10")])
        assert operations.import_statements(now=NEXT) == 1
        assert StatementEntry.objects.filter(fault="").count() == 3
        assert broken() == set()
        assert operations.import_statements(now=NEXT) == 0

    def test_receives_what_the_bank_never_told_of(self, record):
        alice = world.alice()
        world.instrument()
        announced = operations.announce_deposit(user=alice, amount=world.usd("40"), now=world.NOW)
        record.book([entry("bank-9", "40", announced.reference)])
        operations.import_statements(now=NEXT)
        assert world.balance(alice) == 40
        assert BankCredit.objects.get().external_id == "bank-9"
        assert broken() == set()

    def test_names_an_amount_that_differs(self, record):
        fund(world.alice(), "10", "bank-1")
        record.book([entry("bank-1", "11")])
        operations.import_statements(now=NEXT)
        assert StatementEntry.objects.get().fault == "the books say 10.000000 USD"
        assert any("statement entry bank-1" in one for one in broken())

    def test_names_money_that_the_bank_does_not_know(self, record):
        fund(world.alice(), "10", "bank-1")
        operations.import_statements(now=NEXT)
        assert broken() == set()  # it may be booked late
        operations.import_statements(now=LATER)
        assert any("bank credit bank-1" in one and "no statement" in one for one in broken())

    def test_waits_a_day_for_a_late_entry(self, record):
        fund(world.alice(), "10", "bank-1")
        record.book([entry("bank-1", "10", day=NEXT.date())])
        operations.import_statements(now=LATER)
        assert (BankStatement.objects.count(), broken()) == (1, set())

    def test_names_money_that_left_for_no_reason_and_explains_what_was_returned(self, record):
        world.instrument()
        credit = operations.receive_bank_credit(
            external_id="bank-1", reference="?", amount=world.usd("7"), now=world.NOW
        )
        world.decide(
            operations.RETURN_CREDIT,
            {"credit": credit.external_id},
            proposer=world.sam(),
            approver=world.olivia(),
        )
        record.book(
            [entry("bank-1", "7"), entry("out-1", "-7", "return bank-1"), entry("out-2", "-3")]
        )
        operations.import_statements(now=NEXT)
        faults = dict(StatementEntry.objects.values_list("external_id", "fault"))
        assert faults == {
            "bank-1": "",
            "out-1": "",
            "out-2": "nothing in the books explains this",
        }

    def test_knows_the_houses_capital_by_its_reference(self, record):
        world.instrument()
        capital = [
            operations.Movement("capital", purse, world.usd("500"))
            for purse in ("liquidity", "dealer")
        ]
        world.move_treasury(*capital, reference="wire-1")
        record.book([entry("wire-1", "1000")])
        operations.import_statements(now=NEXT)
        assert broken() == set()

    def test_names_a_closing_balance_that_does_not_follow(self, record):
        stated = gateways.Statement(DAY, world.usd("0"), world.usd("99"), [])
        operations.keep_statement(stated=stated, now=NEXT)
        after = gateways.Statement(NEXT.date(), world.usd("98"), world.usd("98"), [])
        operations.keep_statement(stated=after, now=LATER)
        assert len(broken()) == 2

    def test_shows_staff_what_does_not_add_up(self, record, client):
        record.book([entry("out-2", "-3")])
        operations.import_statements(now=NEXT)
        client.force_login(world.tara())
        page = client.get(reverse("admin:payments_statemententry_changelist") + "?fault=some")
        assert "nothing in the books explains this" in page.content.decode()
        assert client.get(reverse("admin:payments_bankstatement_changelist")).status_code == 200


CAMT = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Acct><Id><IBAN>{iban}</IBAN></Id></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">100.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">347.50</Amt>
<CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Ntry><Amt Ccy="{currency}">250.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<BookgDt><Dt>2026-11-20</Dt></BookgDt><AcctSvcrRef>B1</AcctSvcrRef>
<NtryDtls><TxDtls><RmtInf><Ustrd>{words}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>
<Ntry><Amt Ccy="USD">2.50</Amt><CdtDbtInd>DBIT</CdtDbtInd>
<AcctSvcrRef>B2</AcctSvcrRef></Ntry>
</Stmt></BkToCstmrStmt></Document>"""
LAUGHS = """<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>"""
READS = """<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>"""


def camt(doctype="", iban="LT559999900000000017", currency="USD", words="KRAK2345ABCD"):
    return CAMT.format(doctype=doctype, iban=iban, currency=currency, words=words)


class TestFolder:
    def read(self, tmp_path, text):
        (tmp_path / "camt053-2026-11-20.xml").write_text(text)
        return Folder(tmp_path, IBAN).statement(date(2026, 11, 20))

    def test_reads_camt_053(self, tmp_path):
        stated = self.read(tmp_path, camt())
        assert (str(stated.opening), str(stated.closing)) == ("100.000000", "347.500000")
        assert [(one.external_id, one.amount.decimal) for one in stated.entries] == [
            ("B1", 250),
            ("B2", world.usd("-2.5").decimal),
        ]
        assert stated.entries[0].reference == "KRAK2345ABCD"

    def test_has_none_before_the_bank_left_it(self, tmp_path):
        assert Folder(tmp_path, IBAN).statement(DAY) is None

    @pytest.mark.parametrize(
        "text",
        [
            camt(doctype=LAUGHS, words="&b;"),
            camt(doctype=READS, words="&x;"),
            camt(iban="DE02120300000000202051"),
            camt(currency="EUR"),
            camt()[:300],
            "",
            "<a/>",
        ],
    )
    def test_refuses_what_is_something_else(self, tmp_path, text):
        with pytest.raises(StatementMalformed):
            self.read(tmp_path, text)


class TestSimulatedRecord:
    def test_states_some_entries_a_day_late_and_never_two_balances(self, tmp_path):
        record = SimulatedRecord(tmp_path / "r.jsonl")
        record.book(entry(f"sim-{number}", "5") for number in range(30))
        record.book([entry("sim-0", "5")])
        today, after = record.statement(DAY), record.statement(DAY + timedelta(days=1))
        first, second = ({one.external_id for one in s.entries} for s in (today, after))
        assert first
        assert second
        assert len(first | second) == 30
        assert today.closing == after.opening
        assert after.closing.decimal == 150
