"""The workflows: linted without a finding, and no more in them than calls of what is tested elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    options = ["--offline", "--no-progress", "--color=never", "--persona=pedantic", "--strict-collection"]
    done = subprocess.run([zizmor, *options, ROOT / ".github"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings" in done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_with_their_version_beside(workflow: Path) -> None:
    for used in re.findall(r"uses: (.*)", workflow.read_text()):
        assert used.startswith("$/") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)


def test_a_deployment_is_handed_the_secrets_that_operators_know() -> None:
    names = set(re.findall(r"secrets\.(\w+)", (ROOT / ".github" / "workflows" / "deploy.yml").read_text()))
    assert names == {
        "API_KEY",
        "APP_AWS_ACCESS_KEY_ID",
        "APP_AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "LIGHTSAIL_HOST",
        "LIGHTSAIL_SSH_KEY",
        "LIGHTSAIL_USERNAME",
    }
