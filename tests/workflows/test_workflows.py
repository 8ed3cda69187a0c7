"""Claims about .github that its schemas and zizmor do not check. Runs with the Python of .tools/check: it has YAML."""

import re
import subprocess
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SHELLCHECK = ROOT / ".tools/check/bin/shellcheck"
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob(".github/workflows/*.yml"))}
ACTIONS = {str(path): yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob(".github/actions/*/action.yml"))}


def jobs():
    for name, workflow in WORKFLOWS.items():
        for job, spec in workflow["jobs"].items():
            yield f"{name}: {job}", spec


def steps():
    for where, spec in jobs():
        for step in spec.get("steps", []):
            yield where, step
    for where, action in ACTIONS.items():
        for step in action["runs"]["steps"]:
            yield where, step


class Workflows(unittest.TestCase):
    def test_there_is_one_for_each_stage(self):
        expected = ["advisories.yml", "check.yml", "deploy.yml", "package.yml", "release.yml", "test.yml"]
        self.assertEqual(sorted(WORKFLOWS), expected)

    def test_every_job_ends_and_every_workflow_begins_without_rights(self):
        for name, workflow in WORKFLOWS.items():
            self.assertEqual(workflow["permissions"], {}, name)
            self.assertIn("concurrency", workflow, name)
        for where, spec in jobs():
            self.assertIn("permissions", spec, where)
            if "uses" not in spec:
                self.assertLessEqual(spec["timeout-minutes"], 120, where)

    def test_a_right_to_write_is_the_releases_and_the_deployments_alone(self):
        rights = {}
        for where, spec in jobs():
            writes = sorted(right for right, how in spec["permissions"].items() if how == "write")
            if writes:
                rights[where] = writes
        expected = {
            "deploy.yml: deploy": ["id-token"],
            "release.yml: publish": ["attestations", "contents", "id-token"],
        }
        self.assertEqual(rights, expected)
        for where in expected:
            name, job = where.split(": ")
            self.assertIn("environment", WORKFLOWS[name]["jobs"][job], where)

    def test_every_foreign_action_is_a_whole_commit_with_its_version_beside_it(self):
        pinned = re.compile(r"uses: (?:\$/\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")
        for path in [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]:
            for line in path.read_text().splitlines():
                if "uses: " in line:
                    self.assertRegex(line, pinned, path)

    def test_what_they_run_is_there(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for where, step in steps():
            run = step.get("run", "")
            for target in re.findall(r"\bmake ([a-z-]+)", run):
                self.assertIn(target, targets, where)
            for script in re.findall(r"\bscripts/[a-z-]+", run):
                self.assertTrue((ROOT / script).is_file(), f"{where}: {script}")
            local = re.match(r"\$/(\S+)", step.get("uses", ""))
            if local:
                self.assertTrue((ROOT / local[1] / "action.yml").is_file(), where)

    def test_their_shell_code_passes_shellcheck(self):
        for where, step in steps():
            if "run" in step:
                self.assertNotIn("${{", step["run"], f"{where}: text from outside comes by an environment variable")
                code = f"#!/bin/bash\nset -eo pipefail\n{step['run']}\n"
                done = subprocess.run([SHELLCHECK, "-"], input=code, capture_output=True, text=True, check=False)
                self.assertEqual(done.stdout, "", where)

    def test_the_developer_container_has_the_rust_of_the_workflows_which_serves(self):
        container = (ROOT / ".devcontainer/Dockerfile").read_text()
        image = re.search(r"^FROM rust:([\d.]+)-bookworm$", container, re.MULTILINE)[1]
        prepare = (ROOT / ".github/actions/prepare/action.yml").read_text()
        self.assertEqual({image}, set(re.findall(r"rustup (?:default|toolchain install) ([\d.]+)", prepare)))
        least = re.search(r'^rust-version = "([\d.]+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        self.assertGreaterEqual(*([int(part) for part in version.split(".")] for version in (image, least)))


if __name__ == "__main__":
    unittest.main()
