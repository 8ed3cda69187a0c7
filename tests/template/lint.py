#!/usr/bin/env python3
"""Lints the stacks of a sample of the parameters' combinations, with values where they go. Run by `make check`."""

import json
import random
import sys

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from stack import EXISTING, GIVEN, GROUPS, SYNC, TEMPLATE, Deployment, combinations

fixed = [{}, GIVEN, {**GIVEN, **EXISTING, **GROUPS}, SYNC, {"Redis": "valkey-nodes"}]
sample = [*fixed, *random.Random(2026).sample(list(combinations()), 5)]
findings = 0
for parameters in sample:
    stack = Deployment(TEMPLATE, **parameters).stack()
    for finding in lint(json.dumps(stack), config=ManualArgs(regions=["us-east-1"])):
        findings += 1
        print(f"{finding.rule.id} {finding.message} at {'/'.join(map(str, finding.path))} with {parameters}")
print(f"{len(sample)} combinations of parameters linted, {findings} findings")
sys.exit(1 if findings else 0)
