"""Claims: what an account owes is set aside from whatever arrives, in the statement that brings it.

Transfers and released holds make cash free; the triggers that apply them let an open claim on the
account take it first. A capture (a hold entry of a journal) frees nothing: its transfer follows.
"""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

COMPOSITE_KEYS = """
ALTER TABLE ledger_claim
    ADD CONSTRAINT claim_hold_of_its_account
        FOREIGN KEY (hold_id, account_id) REFERENCES ledger_hold (id, account_id);
"""

NO_COMPOSITE_KEYS = "ALTER TABLE ledger_claim DROP CONSTRAINT claim_hold_of_its_account"

CLAIMING = """
CREATE FUNCTION ledger_take_claims(accounts bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_account a WHERE a.id = ANY (accounts)
    ORDER BY a.id FOR NO KEY UPDATE;
    INSERT INTO public.ledger_holdentry (hold_id, account_id, delta)
    SELECT c.hold_id, c.account_id, least(c.owed - h.remaining, a.posted - a.held)
    FROM public.ledger_claim c
    JOIN public.ledger_hold h ON h.id = c.hold_id
    JOIN public.ledger_account a ON a.id = c.account_id
    WHERE c.account_id = ANY (accounts) AND c.owed > h.remaining AND a.posted > a.held
    ORDER BY c.account_id;
END $$;

CREATE FUNCTION ledger_apply_claim_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    accounts bigint[];
BEGIN
    accounts := ARRAY(SELECT DISTINCT c.account_id FROM inserted i
                      JOIN public.ledger_claim c ON c.id = i.claim_id);
    PERFORM 1 FROM public.ledger_account a WHERE a.id = ANY (accounts)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE public.ledger_claim c SET owed = c.owed + changed.delta
    FROM (SELECT claim_id, sum(delta) AS delta FROM inserted GROUP BY claim_id) AS changed
    WHERE c.id = changed.claim_id;
    PERFORM public.ledger_take_claims(accounts);
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_claim_entries_claim AFTER INSERT ON ledger_claimentry
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_claim_entries();
"""

NO_CLAIMING = """
DROP TRIGGER ledger_claim_entries_claim ON ledger_claimentry;
DROP FUNCTION ledger_apply_claim_entries();
DROP FUNCTION ledger_take_claims(bigint[]);
"""

APPLYING = """
CREATE OR REPLACE FUNCTION ledger_apply_transfers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_account a
    WHERE a.id IN (SELECT debit_id FROM inserted UNION SELECT credit_id FROM inserted)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE public.ledger_account a SET posted = a.posted + moved.delta
    FROM (
        SELECT account_id, sum(delta) AS delta
        FROM (
            SELECT debit_id AS account_id, -amount AS delta FROM inserted
            UNION ALL SELECT credit_id, amount FROM inserted
        ) AS legs
        GROUP BY account_id
    ) AS moved
    WHERE a.id = moved.account_id AND moved.delta <> 0;%s
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_apply_hold_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_account a
    WHERE a.id IN (SELECT account_id FROM inserted)
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE public.ledger_hold h SET remaining = h.remaining + changed.delta
    FROM (SELECT hold_id, sum(delta) AS delta FROM inserted GROUP BY hold_id) AS changed
    WHERE h.id = changed.hold_id;
    UPDATE public.ledger_account a SET held = a.held + changed.delta
    FROM (SELECT account_id, sum(delta) AS delta FROM inserted GROUP BY account_id) AS changed
    WHERE a.id = changed.account_id AND changed.delta <> 0;%s
    RETURN NULL;
END $$;
"""

# Claims are few: most books have none, and then this reads an empty index.
TAKING = """
    IF current_setting('krakapp.claims_wait', true) IS DISTINCT FROM 'on' AND EXISTS (
        SELECT FROM public.ledger_claim c WHERE c.owed > 0 AND c.account_id IN (%s)
    ) THEN
        PERFORM public.ledger_take_claims(ARRAY(%s));
    END IF;"""
CREDITED = "SELECT credit_id FROM inserted"
RELEASED = "SELECT account_id FROM inserted WHERE delta < 0 AND journal_id IS NULL"

GRANTS = """
REVOKE ALL ON ledger_claim, ledger_claimentry FROM krakapp_app;
GRANT SELECT ON ledger_claim, ledger_claimentry TO krakapp_app;
GRANT INSERT (account_id, hold_id) ON ledger_claim TO krakapp_app;
GRANT INSERT (claim_id, delta) ON ledger_claimentry TO krakapp_app;
REVOKE ALL ON FUNCTION ledger_take_claims(bigint[]), ledger_apply_claim_entries() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_take_claims(bigint[]) TO krakapp_app;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_plan_guards_once")]
    operations = [
        migrations.CreateModel(
            name="Claim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claim",
                        to="ledger.account",
                    ),
                ),
                (
                    "hold",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claim",
                        to="ledger.hold",
                    ),
                ),
                ("owed", models.BigIntegerField(db_default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(owed__gte=0), name="claim_not_negative"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="ClaimEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("delta", models.BigIntegerField()),
                (
                    "recorded_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now()
                    ),
                ),
                (
                    "claim",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="ledger.claim",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "claim entries",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("delta", 0), _negated=True),
                        name="claim_entry_moves",
                    )
                ],
            },
        ),
        migrations.RunSQL(COMPOSITE_KEYS, NO_COMPOSITE_KEYS),
        migrations.RunSQL(CLAIMING, NO_CLAIMING),
        migrations.RunSQL(
            APPLYING % (TAKING % (CREDITED, CREDITED), TAKING % (RELEASED, RELEASED)),
            APPLYING % ("", ""),
        ),
        migrations.RunSQL(GRANTS, migrations.RunSQL.noop),
    ]
