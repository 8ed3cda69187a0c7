"""What `scripts/run` runs, with data and mark in a folder of its own, so that a developer's own run is left alone.

Arguments: the project's folder, the data's.
"""

import runpy
import sys
from pathlib import Path

root, data = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(root / "scripts"))
sys.dont_write_bytecode = True

from localrun import settings  # noqa: E402

settings.DATA = data

from localrun import processes  # noqa: E402

processes.MARK = f"VISITS_LOCAL_RUN={data}"
runpy.run_module("localrun", run_name="__main__")
