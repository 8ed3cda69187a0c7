"""Has `sam build` build the template, and compares what it would deploy with what is packed.

`python3 -m packager.sam PROJECT`, with .tools/bin and .tools/check/bin on PATH.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packager.building import FUNCTIONS, environment

# What the template deploys unless told otherwise.
ARCHITECTURE = "arm64"


def logical_id(function: str) -> str:
    return "".join(word.title() for word in function.split("-"))


def build(root: Path, folder: Path) -> None:
    # Only a name for the tool to work with: nothing is sent anywhere.
    quiet = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(folder / "home")}
    (folder / "home").mkdir()
    command = ["sam", "build", "--template", str(root / "template.yaml"), "--build-dir", str(folder / "build")]
    env = {**environment(root), **quiet}
    done = subprocess.run(command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        sys.stderr.buffer.write(done.stdout + done.stderr)
        sys.exit("error: sam build failed")


def main() -> None:
    root = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="visits-sam-") as name:
        folder = Path(name)
        build(root, folder)
        for function in FUNCTIONS:
            built = folder / "build" / logical_id(function) / "bootstrap"
            packed = root / "target/packages" / ARCHITECTURE / function / "bootstrap"
            if not os.access(built, os.X_OK):
                sys.exit(f"error: sam build made no program for {function}")
            if built.read_bytes() != packed.read_bytes():
                sys.exit(f"error: sam build's {function} is not the packed one: is its CodeUri functions/{function}?")
    print(f"sam build: the same {len(FUNCTIONS)} programs ({ARCHITECTURE})")


if __name__ == "__main__":
    main()
