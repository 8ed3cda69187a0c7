"""Builds the functions as `sam build` does, each alone with its default features, and so that no program says where."""

import os
import subprocess
import sys
from pathlib import Path

FUNCTIONS = ("record-visit", "get-visits", "dashboard", "flush-visits")
ARCHITECTURES = {"arm64": "--arm64", "x86_64": "--x86-64"}

# Where the sources lie as far as a program knows: panics name their place, and C code its file.
PROJECT, CRATES, HOME = "/visits", "/crates", "/cargo"


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).resolve()


def remapped(root: Path) -> list[tuple[Path, str]]:
    """Folders and what they are called in a program; of several that fit, compilers take the last one."""
    home = cargo_home()
    registries = sorted((home / "registry/src").iterdir()) if (home / "registry/src").is_dir() else []
    # Only there if the component rust-src is: without it the compiler itself says /rustc/COMMIT.
    library = Path(output("rustc", "--print", "sysroot")) / "lib/rustlib/src/rust"
    commit = next(line.split()[1] for line in output("rustc", "-vV").splitlines() if line.startswith("commit-hash"))
    folders = [(home, HOME), *((registry, CRATES) for registry in registries)]
    return [*folders, (library, f"/rustc/{commit}"), (root, PROJECT)]


def environment(root: Path) -> dict[str, str]:
    """For cargo-lambda and for `sam build`, which calls it: both then find what the other has compiled.

    CARGO_BUILD_RUSTFLAGS is joined with the processor that cargo-lambda compiles for; RUSTFLAGS would replace it.
    """
    pairs = remapped(root)
    if spaced := [str(path) for path, _ in pairs if " " in str(path)]:
        sys.exit(f"error: a path with a space cannot be given to the compilers: {spaced[0]}; move it")
    env = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")}
    env["CARGO_BUILD_RUSTFLAGS"] = " ".join(f"--remap-path-prefix={path}={name}" for path, name in pairs)
    c_flags = " ".join(f"-ffile-prefix-map={path}={name}" for path, name in pairs)
    for target in ("aarch64_unknown_linux_gnu", "x86_64_unknown_linux_gnu"):
        env[f"CFLAGS_{target}"] = c_flags
    env["CARGO_TARGET_DIR"] = str(root / "target/package")
    return env


class Builder:
    """Of the functions, for one processor."""

    def __init__(self, root: Path, architecture: str) -> None:
        self.root, self.flag, self.lambda_dir = root, ARCHITECTURES[architecture], root / "target/package/lambda"
        subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=root, check=True)
        self.env = environment(root)

    def build_all(self) -> dict[str, Path]:
        """The program of each function, still named `bootstrap` by cargo-lambda."""
        return {name: self.build(name) for name in FUNCTIONS}

    def build(self, name: str) -> Path:
        print(f"building {name} ({self.flag.strip('-')})", file=sys.stderr)
        command = ["cargo", "lambda", "build", "--release", "--locked", self.flag]
        subprocess.run(command, cwd=self.root / "functions" / name, env=self.env, check=True)
        return self.lambda_dir / name / "bootstrap"
