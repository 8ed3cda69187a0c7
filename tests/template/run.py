#!/usr/bin/env python3
"""Runs the tests of the template and of its costs: claims that no linter makes, on every combination of parameters.

Run by `make check` with the Python of .tools/check. Ends with the line `N passed, N failed`.
"""

import sys
import unittest
from pathlib import Path

tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent), "test_*.py")
result = unittest.TextTestRunner(verbosity=2).run(tests)
failed = len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed} passed, {failed} failed")
sys.exit(1 if failed or not result.testsRun else 0)
