"""Builds and zips the functions for the processors that are named: `python3 -m packager PROJECT arm64 x86_64`."""

import hashlib
import sys
from pathlib import Path

from packager.building import ARCHITECTURES, FUNCTIONS, Builder
from packager.elf import Binary
from packager.zips import write_zip


def package(root: Path, architecture: str) -> list[Path]:
    """Makes target/packages/ARCHITECTURE anew and returns what is in it: of each function the program and its zip."""
    folder = root / "target/packages" / architecture
    made = []
    for name, built in Builder(root, architecture).build_all().items():
        binary = Binary.read(built)
        binary.check(architecture)
        bootstrap = folder / name / "bootstrap"
        bootstrap.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.write_bytes(built.read_bytes())
        bootstrap.chmod(0o755)
        archive = folder / f"{name}.zip"
        write_zip(archive, bootstrap)
        made += [bootstrap, archive]
        print(f"{architecture:7} {name:13} {size(bootstrap)} {size(archive)}  glibc {binary.glibc_text()}", flush=True)
    return made


def size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:6.2f} MB"


def write_sums(folder: Path) -> None:
    """SHA256SUMS of all packages that are there, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def main() -> None:
    root, *architectures = sys.argv[1:]
    if not architectures or set(architectures) - set(ARCHITECTURES):
        sys.exit(f"error: {' '.join(architectures) or 'no processor'}: give some of {', '.join(ARCHITECTURES)}")
    print(f"{'':7} {'':13} {'program':>9} {'zip':>9}")
    for architecture in architectures:
        made = package(Path(root), architecture)
        if len(made) != 2 * len(FUNCTIONS):
            sys.exit(f"error: {len(made)} files were made for {architecture}")
    write_sums(Path(root) / "target/packages")


if __name__ == "__main__":
    main()
