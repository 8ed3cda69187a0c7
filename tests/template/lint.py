#!/usr/bin/env python3
"""Lints the stacks that a few combinations of parameters make, each two of their values together at least once.

The template as a whole is linted too; here the values of parameters stand where they go, and what is not made is gone.
Run by `make check` with the Python of .tools/check.
"""

import json
import sys

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from combinations import FILL, covering
from resolve import Deployment
from stack import TEMPLATE

CONFIG = ManualArgs(regions=["us-east-1"])
combinations = covering()
combinations += [{**combinations[0], **{name: value for fill in FILL for name, value in fill.items()}}]
findings = 0
for parameters in combinations:
    stack = Deployment(TEMPLATE, **parameters).stack()
    for finding in lint(json.dumps(stack), config=CONFIG):
        findings += 1
        print(f"{finding.rule.id} {finding.message} at {'/'.join(map(str, finding.path))} with {parameters}")
print(f"{len(combinations)} combinations of parameters linted, {findings} findings")
sys.exit(1 if findings else 0)
