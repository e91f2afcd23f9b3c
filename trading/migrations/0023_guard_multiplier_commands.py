"""Let the inbox take a new multiplier only from a corporate action that is due."""

from django.db import migrations

GUARD = """
CREATE FUNCTION multiplier_command_guard() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_of_owner(TG_RELID) OR EXISTS (
        SELECT FROM instruments_corporateaction
        WHERE instrument_id = (NEW.payload ->> 'instrument')::bigint AND status = 'ordered'
            AND multiplier_after * 1000000000000000000
                = (NEW.payload ->> 'multiplier_e18')::numeric
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'no corporate action explains this multiplier'
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER multiplier_command_guard BEFORE INSERT ON trading_command
    FOR EACH ROW WHEN (NEW.kind = 'multiplier') EXECUTE FUNCTION multiplier_command_guard();
CREATE TRIGGER multiplier_command_unchanged BEFORE UPDATE OF kind, payload ON trading_command
    FOR EACH ROW WHEN (NEW.kind = 'multiplier'
        AND (OLD.kind, OLD.payload) IS DISTINCT FROM (NEW.kind, NEW.payload))
    EXECUTE FUNCTION multiplier_command_guard();
"""

LIFT = """
DROP TRIGGER multiplier_command_unchanged ON trading_command;
DROP TRIGGER multiplier_command_guard ON trading_command;
DROP FUNCTION multiplier_command_guard();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0022_quotes_live_seconds"),
        ("instruments", "0003_guard_multipliers"),
    ]

    operations = [migrations.RunSQL(GUARD, LIFT)]
