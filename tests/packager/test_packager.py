"""What the packager promises of zips and programs."""

import os
import shutil
import sys
import tempfile
import unittest
import unittest.mock
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import packager  # noqa: E402
from packager import MACHINES, Binary, write_zip  # noqa: E402


class Zips(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="visits-zip-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def zipped(self, name: str, mode: int, time: float) -> bytes:
        program, archive = self.folder / name, self.folder / f"{name}.zip"
        program.write_bytes(b"a program" * 1000)
        program.chmod(mode)
        os.utime(program, (time, time))
        write_zip(archive, program)
        return archive.read_bytes()

    def test_name_time_and_mode_of_the_file_change_nothing(self) -> None:
        self.assertEqual(self.zipped("bootstrap", 0o755, 1e9), self.zipped("other", 0o600, 1.7e9))

    def test_it_holds_one_program_that_everybody_may_run(self) -> None:
        self.zipped("bootstrap", 0o600, 1e9)
        with zipfile.ZipFile(self.folder / "bootstrap.zip") as archive:
            (entry,) = archive.infolist()
            self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
            self.assertEqual(archive.read(entry), b"a program" * 1000)


class Programs(unittest.TestCase):
    def test_one_for_another_processor_is_refused(self) -> None:
        ours = Binary.read(Path(shutil.which("env")).resolve())
        other = next(name for name, machine in MACHINES.items() if machine != ours.machine)
        with self.assertRaisesRegex(SystemExit, f"is for {ours.machine}, not for {other}"):
            ours.check(other)

    def refusal(self, **changed: object) -> str:
        fields = {"path": Path("p"), "machine": MACHINES["arm64"], "libraries": {"libc.so.6"}, "glibc": (2, 34)}
        with self.assertRaises(SystemExit) as refused:
            Binary(**fields | changed).check("arm64")
        return str(refused.exception)

    def test_one_that_needs_a_newer_glibc_than_lambda_has_is_refused(self) -> None:
        self.assertEqual(self.refusal(glibc=(2, 35)), "error: p needs glibc 2.35; provided.al2023 has 2.34")

    def test_one_that_needs_a_library_that_lambda_lacks_is_refused(self) -> None:
        self.assertIn("needs libssl.so.3", self.refusal(libraries={"libssl.so.3"}))

    def test_one_that_lambda_can_start_is_taken(self) -> None:
        Binary(Path("p"), MACHINES["arm64"], {"libc.so.6", "ld-linux-aarch64.so.1"}, (2, 34)).check("arm64")

    def test_what_is_no_program_is_refused(self) -> None:
        with self.assertRaisesRegex(SystemExit, "is no dynamically linked program of Linux"):
            Binary.read(Path(__file__))


class Sums(unittest.TestCase):
    def test_all_files_are_listed_in_an_order_that_does_not_depend_on_the_disk(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in ("b", "a/b", "SHA256SUMS"):
                (folder / file).parent.mkdir(exist_ok=True)
                (folder / file).write_text("")
            packager.write_sums(folder)
            empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            self.assertEqual((folder / "SHA256SUMS").read_text(), f"{empty}  a/b\n{empty}  b\n")


class Building(unittest.TestCase):
    def test_the_project_s_folder_is_named_in_no_program(self) -> None:
        env = packager.environment(Path("/somewhere/project"))
        self.assertTrue(env["CARGO_BUILD_RUSTFLAGS"].endswith("--remap-path-prefix=/somewhere/project=/visits"))
        self.assertIn("-ffile-prefix-map=/somewhere/project=/visits", env["CFLAGS_aarch64_unknown_linux_gnu"])

    def test_a_folder_with_a_space_is_refused(self) -> None:
        with self.assertRaisesRegex(SystemExit, "a path with a space .*: /some where; move it"):
            packager.environment(Path("/some where"))

    def test_flags_of_the_caller_s_do_not_replace_the_processor_s(self) -> None:
        with unittest.mock.patch.dict(os.environ, {"RUSTFLAGS": "-C target-cpu=native"}):
            self.assertNotIn("RUSTFLAGS", packager.environment(ROOT))


if __name__ == "__main__":
    unittest.main()
