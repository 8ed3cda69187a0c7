"""What a program needs of the machine that runs it, as `readelf` tells: the processor and the version of glibc."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

MACHINES = {"arm64": "AArch64", "x86_64": "Advanced Micro Devices X86-64"}

# What provided.al2023 has.
GLIBC = (2, 34)
LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1"}
LOADERS = {"ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}


@dataclass
class Binary:
    """Made by `read`."""

    path: Path
    machine: str
    libraries: set[str]
    glibc: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> "Binary":
        command = ["readelf", "--wide", "--file-header", "--dynamic", "--version-info", str(path)]
        env = {**os.environ, "LC_ALL": "C"}
        text = subprocess.run(command, env=env, capture_output=True, text=True).stdout  # empty if it is no program
        machine = re.search(r"^ *Machine: *(.+)$", text, re.MULTILINE)
        versions = [tuple(int(part) for part in found.split(".")) for found in re.findall(r"\bGLIBC_([0-9.]+)\b", text)]
        if machine is None or not versions:
            raise SystemExit(f"error: {path} is no dynamically linked program of Linux")
        return cls(path, machine[1].strip(), set(re.findall(r"Shared library: \[(.+)\]", text)), max(versions))

    def glibc_text(self) -> str:
        return ".".join(map(str, self.glibc))

    def check(self, architecture: str) -> None:
        """Ends the program with what is wrong, if Lambda could not start this one."""
        if self.machine != MACHINES[architecture]:
            raise SystemExit(f"error: {self.path} is for {self.machine}, not for {architecture}")
        if self.glibc > GLIBC:
            raise SystemExit(f"error: {self.path} needs glibc {self.glibc_text()}; provided.al2023 has 2.34")
        if unknown := self.libraries - LIBRARIES - LOADERS:
            raise SystemExit(f"error: {self.path} needs {', '.join(sorted(unknown))}, which provided.al2023 lacks")
