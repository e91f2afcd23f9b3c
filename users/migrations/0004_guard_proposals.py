"""Let a proposal be decided once, and change in nothing else."""

from django.db import migrations

# What a member of the staff reads before approving is what was proposed: the payload, the version
# and the proposer are out of the app's reach once written, and so is a decision.
GUARD = """
CREATE FUNCTION proposal_guard() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'proposed' THEN
            RAISE EXCEPTION 'a proposal begins undecided' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' OR OLD.status <> 'proposed' OR NEW.status = 'proposed' THEN
        RAISE EXCEPTION 'a proposal is decided once and kept' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER proposal_guard BEFORE INSERT OR UPDATE OR DELETE ON users_proposal
    FOR EACH ROW EXECUTE FUNCTION proposal_guard();

REVOKE UPDATE, DELETE, TRUNCATE ON users_proposal FROM krakapp_app;
GRANT UPDATE (status, decided_by_id, decided_at, note, result) ON users_proposal TO krakapp_app;
"""

LIFT = """
GRANT UPDATE, DELETE ON users_proposal TO krakapp_app;
DROP TRIGGER proposal_guard ON users_proposal;
DROP FUNCTION proposal_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0003_proposals")]

    operations = [migrations.RunSQL(GUARD, LIFT)]
