"""The OpenAPI document against the running platform: whatever it allows, and what it does not.

Schemathesis reads the document and asks every operation as a signed-in customer: the boundary
values of each field, what is drawn at random, and calls that follow from each other's answers. It
takes SECONDS seconds. The dice are shown where the test fails; SEED throws the same ones again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.journeys.mobile import Phone

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


def test_every_answer_is_documented_and_none_is_a_failure(platform, dice, tmp_path):
    seconds = os.environ.get("SECONDS", "120")
    with Phone(platform, "alice@demo.test") as alice:
        alice.sign_in()
        done = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                "run",
                f"{platform.base_url}/api/schema/?format=json",
                f"--url={platform.base_url}",
                f"--header=X-Session-Token: {alice.token}",
                "--phases=coverage,fuzzing,stateful",
                f"--checks={','.join(CHECKS)}",
                f"--max-time={seconds}",
                f"--seed={dice.seeded_by}",
                "--continue-on-failure",
                "--generation-database=none",
                "--warnings=off",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Seed: {dice.seeded_by}" in done.stdout
        selected, tested = re.findall(r"(?:Selected|Tested): (\d+)", done.stdout)
        assert int(selected) == int(tested) > 30
    assert platform.manage("audit_books")
