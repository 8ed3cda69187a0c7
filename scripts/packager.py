"""Builds, checks and zips the functions for the processors that are named: `python3 -m packager PROJECT arm64 x86_64`.

Each is built alone with its default features, as `sam build` does, and so that no program says where. With --sam in
place of processors, `sam build` builds the template, and what it would deploy is compared with what is packed (it needs
.tools/bin and .tools/check/bin on PATH). The standard library only.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

FUNCTIONS = ("record-visit", "get-visits", "dashboard", "flush-visits")
FLAGS = {"arm64": "--arm64", "x86_64": "--x86-64"}
MACHINES = {"arm64": "AArch64", "x86_64": "Advanced Micro Devices X86-64"}
TEMPLATES_ARCHITECTURE = "arm64"

# What provided.al2023 has.
GLIBC = (2, 34)
LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1"}
LOADERS = {"ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}

# The earliest time that a zip can hold; Lambda looks at it nowhere. Every user may run the program.
ZIP_TIME, UNIX, MODE = (1980, 1, 1, 0, 0, 0), 3, 0o100755


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def remapped(root: Path) -> list[tuple[Path, str]]:
    """Returns folders and their names in a program; of several that fit, compilers take the last one.

    Panics name their place, and C code its file.
    """
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).resolve()
    registries = sorted((home / "registry/src").iterdir()) if (home / "registry/src").is_dir() else []
    # Only there if the component rust-src is: without it the compiler itself says /rustc/COMMIT.
    library = Path(output("rustc", "--print", "sysroot")) / "lib/rustlib/src/rust"
    commit = next(line.split()[1] for line in output("rustc", "-vV").splitlines() if line.startswith("commit-hash"))
    crates = [(registry, "/crates") for registry in registries]
    return [(home, "/cargo"), *crates, (library, f"/rustc/{commit}"), (root, "/visits")]


def environment(root: Path) -> dict[str, str]:
    """Returns the variables for cargo-lambda and for `sam build`, which calls it: each finds what the other compiled.

    CARGO_BUILD_RUSTFLAGS is joined with the processor that cargo-lambda compiles for; RUSTFLAGS would replace it.
    """
    pairs = remapped(root)
    if spaced := [str(path) for path, _ in pairs if " " in str(path)]:
        sys.exit(f"error: a path with a space cannot be given to the compilers: {spaced[0]}; move it")
    env = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")}
    env["CARGO_BUILD_RUSTFLAGS"] = " ".join(f"--remap-path-prefix={path}={name}" for path, name in pairs)
    for target in ("aarch64_unknown_linux_gnu", "x86_64_unknown_linux_gnu"):
        env[f"CFLAGS_{target}"] = " ".join(f"-ffile-prefix-map={path}={name}" for path, name in pairs)
    env["CARGO_TARGET_DIR"] = str(root / "target/package")
    return env


@dataclass
class Binary:
    """The needs of a program, as `readelf` tells them: processor, libraries and version of glibc."""

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
        """Ends the program with the reason, if Lambda could not start this one."""
        if self.machine != MACHINES[architecture]:
            raise SystemExit(f"error: {self.path} is for {self.machine}, not for {architecture}")
        if self.glibc > GLIBC:
            raise SystemExit(f"error: {self.path} needs glibc {self.glibc_text()}; provided.al2023 has 2.34")
        if unknown := self.libraries - LIBRARIES - LOADERS:
            raise SystemExit(f"error: {self.path} needs {', '.join(sorted(unknown))}, which provided.al2023 lacks")


def write_zip(archive: Path, bootstrap: Path) -> None:
    """Writes a zip that is the same bytes whenever and wherever it is made from the same program (and zlib)."""
    entry = zipfile.ZipInfo("bootstrap", ZIP_TIME)
    entry.create_system, entry.external_attr = UNIX, MODE << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(entry, bootstrap.read_bytes(), compresslevel=9)


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS of all packages that are there, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:6.2f} MB"


def package(root: Path, architecture: str) -> None:
    """Makes target/packages/ARCHITECTURE: of each function the program and its zip."""
    folder, env = root / "target/packages" / architecture, environment(root)
    for name in FUNCTIONS:
        print(f"building {name} ({architecture})", file=sys.stderr)
        command = ["cargo", "lambda", "build", "--release", "--locked", FLAGS[architecture]]
        subprocess.run(command, cwd=root / "functions" / name, env=env, check=True)
        built, bootstrap = root / "target/package/lambda" / name / "bootstrap", folder / name / "bootstrap"
        binary, archive = Binary.read(built), folder / f"{name}.zip"
        binary.check(architecture)
        bootstrap.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.write_bytes(built.read_bytes())
        bootstrap.chmod(0o755)
        write_zip(archive, bootstrap)
        sizes = f"{megabytes(bootstrap)} {megabytes(archive)}"
        print(f"{architecture:7} {name:13} {sizes}  glibc {binary.glibc_text()}", flush=True)


def compare_with_sam(root: Path) -> None:
    """Ends the program with the reason, if `sam build` makes other programs than those that are packed."""
    with tempfile.TemporaryDirectory(prefix="visits-sam-") as name:
        folder = Path(name)
        # Only a name for the tool to work with: nothing is sent anywhere.
        quiet = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(folder)}
        command = ["sam", "build", "--template", str(root / "template.yaml"), "--build-dir", str(folder / "build")]
        env = {**environment(root), **quiet}
        done = subprocess.run(command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            sys.stderr.buffer.write(done.stdout + done.stderr)
            sys.exit("error: sam build failed")
        for function in FUNCTIONS:
            built = folder / "build" / "".join(word.title() for word in function.split("-")) / "bootstrap"
            packed = root / "target/packages" / TEMPLATES_ARCHITECTURE / function / "bootstrap"
            if not os.access(built, os.X_OK):
                sys.exit(f"error: sam build made no program for {function}")
            if built.read_bytes() != packed.read_bytes():
                sys.exit(f"error: sam build's {function} is not the packed one: is its CodeUri functions/{function}?")
    print(f"sam build: the same {len(FUNCTIONS)} programs ({TEMPLATES_ARCHITECTURE})")


def main() -> None:
    root, architectures = Path(sys.argv[1]), sys.argv[2:]
    if architectures == ["--sam"]:
        return compare_with_sam(root)
    if not architectures or set(architectures) - set(FLAGS):
        sys.exit(f"error: {' '.join(architectures) or 'no processor'}: give some of {', '.join(FLAGS)}")
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=root, check=True)
    print(f"{'':7} {'':13} {'program':>9} {'zip':>9}")
    for architecture in architectures:
        package(root, architecture)
    return write_sums(root / "target/packages")


if __name__ == "__main__":
    main()
