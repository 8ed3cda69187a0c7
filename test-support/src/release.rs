//! Where the release binaries are.

use std::env;
use std::path::{Path, PathBuf};

/// A release binary of this workspace: a function, or `examples/<name>`.
///
/// # Panics
/// If it is not built; the message says how to build it.
pub fn release_program(name: &str) -> PathBuf {
    let here = env::current_exe().expect("a program knows its path");
    let profile =
        |folder: &Path| matches!(folder.file_name().and_then(|name| name.to_str()), Some("debug" | "release"));
    let target = here.ancestors().find(|folder| profile(folder)).and_then(Path::parent);
    let program = target.expect("this was built by cargo").join("release").join(name);
    assert!(program.is_file(), "{} is missing: `make test`, `make chaos` and `make bench` build it", program.display());
    program
}
