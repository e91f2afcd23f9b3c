from decimal import Decimal

import pytest

from instruments import operations, queries
from instruments.models import Instrument
from ledger.models import Asset

pytestmark = pytest.mark.django_db


class TestLoadInstruments:
    def test_lists_every_instrument_with_its_asset_and_the_dollar(self):
        assert operations.load_instruments() == 79
        apple = queries.by_symbol("AAPLx/USD")
        assert (apple.name, apple.type, apple.hours) == ("Apple", "stock", "24/7")
        assert (apple.asset.code, apple.asset.scale) == ("AAPLx", 8)
        assert apple.demo_price == Decimal("278.5")
        assert Asset.objects.get(code="USD").scale == 6

    def test_takes_as_many_queries_for_79_as_for_one(self, django_assert_num_queries):
        with django_assert_num_queries(5):  # savepoints, assets, their ids, instruments
            operations.load_instruments()

    def test_repeats_without_doubling_and_keeps_what_this_platform_changed(self):
        operations.load_instruments()
        Instrument.objects.filter(symbol="AAPLx").update(min_notional=2, name="Old name")
        operations.load_instruments()
        apple = queries.by_symbol("aaplx")
        assert (apple.min_notional, apple.name) == (2, "Apple")
        assert Instrument.objects.count() == 79

    def test_ten_names_trade_at_any_hour(self):
        operations.load_instruments()
        assert queries.listed().filter(hours="24/7").count() == 10


class TestSearch:
    @pytest.fixture(autouse=True)
    def _listed(self):
        operations.load_instruments()

    def test_finds_by_the_start_of_the_symbol_a_part_of_the_name_or_the_isin(self):
        def found(text):
            return [i.symbol for i in queries.search(text=text)]

        assert "AAPLx" in found("aap")
        assert found("pple") == ["AAPLx"]
        assert found("CH1436219187") == found("us0378331005") == ["AAPLx"]
        assert found("no such thing") == []

    def test_narrows_to_funds(self):
        assert {i.type for i in queries.search(kind="etf")} == {"etf"}
        assert queries.search(kind="nonsense").count() == 79


@pytest.mark.django_db
class TestSearching:
    @pytest.fixture
    def listed(self):
        operations.load_instruments()

    @pytest.mark.parametrize(
        ("typed", "symbol"),
        [
            ("google", "GOOGLx"),
            ("Alphabet", "GOOGLx"),
            ("GOOG", "GOOGLx"),
            ("GOOGLx", "GOOGLx"),
            ("googl", "GOOGLx"),
            ("facebook", "METAx"),
            ("FB", "METAx"),
            ("instagram", "METAx"),
            ("s&p 500", "SPYx"),
            ("S and P 500", "SPYx"),
            ("sp500", "SPYx"),
            ("coke", "KOx"),
            ("coca cola", "KOx"),
            ("mcdonalds", "MCDx"),
            ("McDonald's", "MCDx"),
            ("j&j", "JNJx"),
            ("brk.b", "BRK.Bx"),
            ("brkb", "BRK.Bx"),
            ("appel", "AAPLx"),
            ("telsa", "TSLAx"),
            ("microsft", "MSFTx"),
            ("nvidea", "NVDAx"),
            ("US0378331005", "AAPLx"),
            ("ch1436219187", "AAPLx"),
            ("MICROSTRATEGY", "MSTRx"),
            ("ozempic", "NVOx"),
            ("jp morgan", "JPMx"),
        ],
    )
    def test_finds_what_people_mean_first(self, listed, typed, symbol):
        fits = queries.ranks(typed)
        by_id = {one.pk: one.symbol for one in queries.search(text=typed)}
        assert symbol in by_id.values()
        best = max(fits.values())
        assert symbol in {by_id[pk] for pk, rank in fits.items() if rank == best}
        assert len(by_id) <= 8

    @pytest.mark.parametrize("typed", ["zzzzzz", "%", "_", "&", "' OR 1=1", "qwertyuiop"])
    def test_finds_nothing_for_nothing(self, listed, typed):
        assert not queries.search(text=typed).exists()

    def test_lists_all_for_blanks(self, listed):
        assert queries.search(text="  ").count() == 79
