"""Make the audit trail a chain of hashes that only grows."""

from django.db import migrations

# The id is taken again under the lock, so that the order of ids is the order of the chain.
CHAIN = """
CREATE FUNCTION audit_digest(
    previous text, id bigint, at timestamptz, actor bigint, subject bigint,
    action text, reason text, detail jsonb
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        previous, id, (extract(epoch FROM at) * 1000000)::bigint, actor, subject,
        action, reason, detail
    )::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('users_auditentry', 0));
    NEW.id := nextval(pg_get_serial_sequence('users_auditentry', 'id'));
    NEW.digest := audit_digest(
        coalesce((SELECT digest FROM users_auditentry ORDER BY id DESC LIMIT 1), ''),
        NEW.id, NEW.at, NEW.actor_id, NEW.subject_id, NEW.action, NEW.reason, NEW.detail
    );
    RETURN NEW;
END $$;

CREATE TRIGGER audit_chain BEFORE INSERT ON users_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_chain();

CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail only grows' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON users_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

REVOKE UPDATE, DELETE, TRUNCATE ON users_auditentry FROM krakapp_app;
"""

UNCHAIN = """
GRANT UPDATE, DELETE ON users_auditentry TO krakapp_app;
DROP TRIGGER audit_append_only ON users_auditentry;
DROP TRIGGER audit_chain ON users_auditentry;
DROP FUNCTION audit_append_only();
DROP FUNCTION audit_chain();
DROP FUNCTION audit_digest(text, bigint, timestamptz, bigint, bigint, text, text, jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]

    operations = [migrations.RunSQL(CHAIN, UNCHAIN)]
