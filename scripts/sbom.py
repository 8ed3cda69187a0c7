"""Writes a software bill of materials of each function (CycloneDX 1.6), and holds it against CycloneDX's schema.

Its parts are what Cargo compiles into the function alone, for either processor: not what only builds or tests it.
`.tools/check/bin/python -m sbom PROJECT`: it needs the packages of scripts/requirements/check.txt.
"""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import tomli
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packager import FUNCTIONS
from packageurl import PackageURL

TARGETS = ("aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu")


def output(root: Path, *command: str) -> str:
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def checksums(root: Path) -> dict[tuple[str, str], str]:
    """SHA-256 of the crates that crates.io gave, as Cargo.lock has them."""
    lock = tomli.loads((root / "Cargo.lock").read_text())
    return {(each["name"], each["version"]): each["checksum"] for each in lock["package"] if "checksum" in each}


def tree(root: Path, function: str) -> Iterator[tuple[int, str, str, str]]:
    """Depth, name, version and license, in the order of `cargo tree`: a crate comes right below one that needs it."""
    command = ["cargo", "tree", "--locked", "--package", function, "--edges", "normal,no-proc-macro"]
    for target in TARGETS:
        command += ["--target", target]
    lines = output(root, *command, "--prefix", "depth", "--format", "|{p}|{l}").splitlines()
    for line in filter(None, lines):  # an empty one stands between the trees of two processors
        depth, package, license_text = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        # Old manifests write a slash for OR.
        yield int(depth), name, version.removeprefix("v"), license_text.replace("/", " OR ")


def component(name: str, version: str, license_text: str, sums: dict[tuple[str, str], str]) -> Component:
    checksum = sums.get((name, version))
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        # Our own crates are on no registry.
        purl=PackageURL("cargo", name=name, version=version) if checksum else None,
        licenses=[LicenseFactory().make_from_string(license_text)] if license_text else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def standard_library() -> Component:
    version = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    return component("std", version, "MIT OR Apache-2.0", {})


def bill(root: Path, function: str) -> Bom:
    sums, known, path, needs = checksums(root), {}, [], {}
    for depth, name, version, license_text in tree(root, function):
        part = known.setdefault((name, version), component(name, version, license_text, sums))
        del path[depth:]
        if path:
            needs.setdefault(path[-1].bom_ref.value, {})[part.bom_ref.value] = part
        path.append(part)
    bom, parts = Bom(), {part.bom_ref.value: part for part in known.values()}
    std = standard_library()
    program = next(part for part in parts.values() if part.name == function)
    program.type = ComponentType.APPLICATION
    bom.metadata.component = program
    bom.components.update(part for part in [*parts.values(), std] if part is not program)
    for ref, part in parts.items():
        bom.register_dependency(part, [*needs.get(ref, {}).values(), *([std] if part is program else [])])
    return dated(root, bom, sorted([*parts, std.bom_ref.value]))


def dated(root: Path, bom: Bom, parts: list[str]) -> Bom:
    """The same commit gives the same bytes: the time is the commit's, the serial number is made of time and parts."""
    seconds = int(output(root, "git", "log", "-1", "--format=%ct"))
    bom.metadata.timestamp = datetime.fromtimestamp(seconds, timezone.utc)
    name = f"{bom.metadata.component.name} {seconds} {' '.join(parts)}"
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, name)
    return bom


def main() -> None:
    root = Path(sys.argv[1])
    folder = root / "target/packages"
    folder.mkdir(parents=True, exist_ok=True)
    for function in FUNCTIONS:
        bom = bill(root, function)
        text = JsonV1Dot6(bom).output_as_string(indent=1)
        if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            sys.exit(f"error: the bill of {function} is not as CycloneDX wants it: {error}")
        (folder / f"{function}.cdx.json").write_text(text + "\n")
        print(f"{function}.cdx.json: {len(bom.components)} parts, valid by the schema of CycloneDX 1.6")


if __name__ == "__main__":
    main()
