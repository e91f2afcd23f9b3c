"""Hold journals to their rows by queries that a session plans once, and not for each row.

A house that is funded writes hundreds of journals in one transaction, and each of them is looked at
twice when it ends. To plan the query took most of that time.
"""

from importlib import import_module

from django.db import migrations

before = import_module("ledger.migrations.0004_journal_kinds").WHOLE

# For migrations of the apps above, once they have made a view of what their rows explain: makes
# `<view>_differs`, by which `ledger_require_explained` looks. The joins go as the view writes them,
# from each row by indexes: a plan that was made over empty tables serves as well when they grow.
DIFFERS = """
CREATE PROCEDURE ledger_plan_guard(explained text)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION public.%I(journals bigint[]) RETURNS boolean
        LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
        SET plan_cache_mode = force_generic_plan SET join_collapse_limit = 1
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
        BEGIN
            RETURN (
                WITH moved AS MATERIALIZED (
                    SELECT t.journal_id, j.kind, t.debit_id, t.credit_id, t.amount
                    FROM public.ledger_transfer t JOIN public.ledger_journal j ON j.id = t.journal_id
                    WHERE t.journal_id = ANY (journals)
                ), said AS MATERIALIZED (
                    SELECT journal_id, kind, debit_id, credit_id, amount FROM public.%I
                    WHERE journal_id = ANY (journals)
                )
                SELECT EXISTS (SELECT FROM unnest(journals) AS one(id)
                               WHERE one.id NOT IN (SELECT journal_id FROM said))
                    OR EXISTS (TABLE moved EXCEPT ALL TABLE said)
                    OR EXISTS (TABLE said EXCEPT ALL TABLE moved)
            );
        END $$
    $function$, explained || '_differs', explained);
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I FROM PUBLIC', explained || '_differs');
END $make$;
REVOKE ALL ON PROCEDURE ledger_plan_guard(text) FROM PUBLIC;
"""

_begin, _end = before.index("CREATE FUNCTION ledger_require_explained"), before.index(
    "CREATE TRIGGER ledger_journals_at_once"
)
OLD = before[_begin:_end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
_query = OLD[OLD.index("    EXECUTE format(") : OLD.index("    IF differs")]
NEW = OLD.replace(
    _query,
    """    EXECUTE format('SELECT public.%I($1)', TG_ARGV[0] || '_differs')
        INTO differs USING journals;
""",
)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_journal_kinds")]
    operations = [
        migrations.RunSQL(DIFFERS, "DROP PROCEDURE ledger_plan_guard(text)"),
        migrations.RunSQL(NEW, OLD),
    ]
