"""Let nothing but a corporate action that is due change a multiplier.

The owner of the tables is not held by the triggers: `audit_books` finds what it breaks.
"""

from django.db import migrations

# What the terms explain, to half of the last decimal: exact, since nothing is divided.
GUARD = """
ALTER TABLE instruments_corporateaction ADD CONSTRAINT corporate_action_factor CHECK (
    CASE kind
        WHEN 'dividend' THEN
            abs(multiplier_after * reinvestment_price
                - multiplier_before * (reinvestment_price + net_amount))
                <= reinvestment_price * 0.0000000000000000005
        ELSE
            abs(multiplier_after * ratio_from - multiplier_before * ratio_to)
                <= ratio_from * 0.0000000000000000005
    END
);

CREATE FUNCTION is_of_owner(oid) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog AS $$
    SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = $1
$$;

CREATE FUNCTION corporate_action_guard() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_of_owner(TG_RELID) THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'scheduled' OR NOT EXISTS (
            SELECT FROM users_proposal AS proposal
            JOIN instruments_instrument AS instrument ON instrument.id = NEW.instrument_id
            WHERE proposal.id = NEW.proposal_id
                AND proposal.kind = 'trading.corporate_action' AND proposal.status = 'proposed'
                AND proposal.payload ->> 'symbol' = instrument.symbol
                AND proposal.payload ->> 'kind' = NEW.kind
                AND proposal.payload ->> 'event' = NEW.event
                AND (proposal.payload ->> 'ratio_to')::int IS NOT DISTINCT FROM NEW.ratio_to
                AND (proposal.payload ->> 'ratio_from')::int IS NOT DISTINCT FROM NEW.ratio_from
                AND (proposal.payload ->> 'net_amount')::numeric
                    IS NOT DISTINCT FROM NEW.net_amount
                AND (proposal.payload ->> 'reinvestment_price')::numeric
                    IS NOT DISTINCT FROM NEW.reinvestment_price
                AND (proposal.payload ->> 'effective_at')::timestamptz = NEW.effective_at
                AND instrument.multiplier = NEW.multiplier_before
        ) THEN
            RAISE EXCEPTION 'no proposal explains this corporate action'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' OR NOT (OLD.status, NEW.status) IN (
        ('scheduled', 'halted'), ('halted', 'ordered'), ('ordered', 'done'),
        ('scheduled', 'cancelled'), ('halted', 'cancelled')
    ) THEN
        RAISE EXCEPTION 'a corporate action goes its way once' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'ordered' AND (
        NEW.effective_at > clock_timestamp() + interval '1 second' OR NOT EXISTS (
            SELECT FROM users_proposal WHERE id = NEW.proposal_id AND status = 'executed'
                AND decided_by_id <> proposer_id
        )
    ) THEN
        RAISE EXCEPTION 'this corporate action is not due' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'done' AND NEW.multiplier_after <> (
        SELECT multiplier FROM instruments_instrument WHERE id = NEW.instrument_id
    ) THEN
        RAISE EXCEPTION 'this corporate action has not happened' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER corporate_action_guard BEFORE INSERT OR UPDATE OR DELETE
    ON instruments_corporateaction FOR EACH ROW EXECUTE FUNCTION corporate_action_guard();

REVOKE UPDATE, DELETE, TRUNCATE ON instruments_corporateaction FROM krakapp_app;
GRANT UPDATE (status, state_before, halted_at, ordered_at, done_at)
    ON instruments_corporateaction TO krakapp_app;

CREATE FUNCTION multiplier_guard() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_of_owner(TG_RELID) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.multiplier <> 1 THEN
            RAISE EXCEPTION 'an instrument begins with a multiplier of 1'
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.multiplier <> OLD.multiplier AND NOT EXISTS (
        SELECT FROM instruments_corporateaction
        WHERE instrument_id = NEW.id AND status = 'ordered'
            AND multiplier_before = OLD.multiplier AND multiplier_after = NEW.multiplier
    ) THEN
        RAISE EXCEPTION 'no corporate action explains a multiplier of %', NEW.multiplier
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER multiplier_guard BEFORE INSERT OR UPDATE OF multiplier ON instruments_instrument
    FOR EACH ROW EXECUTE FUNCTION multiplier_guard();
"""

LIFT = """
DROP TRIGGER multiplier_guard ON instruments_instrument;
DROP FUNCTION multiplier_guard();
GRANT UPDATE, DELETE ON instruments_corporateaction TO krakapp_app;
DROP TRIGGER corporate_action_guard ON instruments_corporateaction;
DROP FUNCTION corporate_action_guard();
DROP FUNCTION is_of_owner(oid);
ALTER TABLE instruments_corporateaction DROP CONSTRAINT corporate_action_factor;
"""


class Migration(migrations.Migration):
    dependencies = [("instruments", "0002_corporate_actions"), ("users", "0004_guard_proposals")]

    operations = [migrations.RunSQL(GUARD, LIFT)]
