import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

STATUS = [("posted", "Posted"), ("waiting", "Waiting"), ("returned", "Returned")]
WAITING = [
    ("unknown_reference", "Nobody announced it"),
    ("completed", "What was announced has arrived before"),
    ("amount_differs", "Another amount was announced"),
    ("too_large", "Larger than policy posts by itself"),
    ("too_much_today", "More in a day than policy posts by itself"),
    ("account_stopped", "The account may not deposit"),
    ("uncountable", "More than can be counted"),
]

# The guard looks at rows when a transaction ends, and no table is altered before it has.
BEFORE = "DROP TRIGGER payments_credit_explains ON payments_bankcredit"
FILL = """
UPDATE payments_bankcredit c SET user_id = i.user_id, status = 'posted'
    FROM payments_depositinstruction i WHERE i.id = c.instruction_id AND c.journal_id IS NOT NULL;
UPDATE payments_bankcredit SET waits_for = 'unknown_reference' WHERE journal_id IS NULL;
SET CONSTRAINTS ALL IMMEDIATE;
"""
AFTER = """
CREATE CONSTRAINT TRIGGER payments_credit_explains AFTER INSERT OR UPDATE ON payments_bankcredit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION ledger_require_explained('payments_explained');
"""
POLICY = """
INSERT INTO payments_bankpolicy (since, tolerance_usd, largest_usd, largest_day_usd)
VALUES ('2020-01-01', 25, 1000000, 2000000)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0004_explain_house_money"),
        ("users", "0003_proposals"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="BankPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateField(unique=True)),
                ("tolerance_usd", models.DecimalField(decimal_places=2, max_digits=12)),
                ("largest_usd", models.PositiveBigIntegerField()),
                ("largest_day_usd", models.PositiveBigIntegerField()),
            ],
            options={
                "verbose_name_plural": "bank policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("tolerance_usd__gte", 0), ("largest_usd__gt", 0), ("largest_day_usd__gte", F("largest_usd")), ("largest_day_usd__lte", 10**12)),
                        name="bank_policy_sound",
                    )
                ],
            },
        ),
        migrations.RunSQL(POLICY, migrations.RunSQL.noop),
        migrations.RunSQL(BEFORE, AFTER),
        migrations.RemoveConstraint(model_name="bankcredit", name="bank_credit_matched_iff_posted"),
        migrations.AddField("bankcredit", "status", models.CharField(choices=STATUS, default="waiting", max_length=8), preserve_default=False),
        migrations.AddField("bankcredit", "waits_for", models.CharField(blank=True, choices=WAITING, default="", max_length=20), preserve_default=False),
        migrations.AddField("bankcredit", "user", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="bank_credits", to=settings.AUTH_USER_MODEL)),
        migrations.AddField("bankcredit", "proposal", models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="bank_credit", to="users.proposal")),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "bankcredit",
            models.CheckConstraint(
                condition=Q(("journal__isnull", False), ("status", "posted"), ("user__isnull", False))
                | Q(~Q(("status", "posted")), ("journal__isnull", True), ("user__isnull", True)),
                name="bank_credit_posted_iff_journal",
            ),
        ),
        migrations.AddConstraint(
            "bankcredit",
            models.CheckConstraint(
                condition=Q(
                    Q(("status", "posted"), Q(("waits_for", ""), _negated=True), _connector="OR"),
                    Q(Q(("status", "returned"), _negated=True), ("proposal__isnull", False), _connector="OR"),
                    Q(Q(("status", "waiting"), _negated=True), ("proposal__isnull", True), _connector="OR"),
                ),
                name="bank_credit_says_why",
            ),
        ),
        migrations.AddIndex("bankcredit", models.Index(condition=Q(("status", "waiting")), fields=["id"], name="bank_credit_waiting")),
        migrations.AddIndex("bankcredit", models.Index(fields=["user", "received_at"], name="bank_credit_of_day")),
    ]
