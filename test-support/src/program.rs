//! Finding the programs that the tests start.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The Redis or Valkey server: `$REDIS_SERVER`, one on `PATH`, or the project's own.
///
/// # Panics
/// If there is none.
pub fn redis_program() -> PathBuf {
    need_program("REDIS_SERVER", &["redis-server", "valkey-server"])
}

/// The Redis server of another version, `6.2` or `8.2`. `None`: there is none for this machine, as `make test` has said.
pub fn redis_program_of_version(version: &str) -> Option<PathBuf> {
    let program = project().join(format!(".tools/bin/redis-server-{version}"));
    program.is_file().then_some(program)
}

/// A program that a test needs: what `$variable` names, else the first of `names` on `PATH` or in the
/// project's `.tools/bin`.
///
/// # Panics
/// If there is none; the message says how to get it.
pub fn need_program(variable: &str, names: &[&str]) -> PathBuf {
    let folders: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).chain([project().join(".tools/bin")]).collect();
    if let Some(given) = env::var_os(variable).filter(|given| !given.is_empty()) {
        let found = find(&given, &folders);
        return found.unwrap_or_else(|| panic!("{variable}={} is not a program", given.display()));
    }
    let found = names.iter().find_map(|name| find(&OsString::from(name), &folders));
    found.unwrap_or_else(|| panic!("no {}: run the tests with `make test`, which gets it", names.join(" or ")))
}

/// The folder of the workspace.
fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the project")
}

/// A name is looked for in `folders`; a path with a slash is itself.
fn find(program: &OsString, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = Path::new(program);
    let mut candidates = folders.iter().map(|folder| folder.join(path));
    if path.components().count() > 1 {
        path.is_file().then(|| path.to_owned())
    } else {
        candidates.find(|c| c.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is_and_a_name_is_looked_for() {
        let folders = [PathBuf::from("/nowhere"), PathBuf::from("/bin")];
        assert_eq!(find(&"/bin/sh".into(), &[]), Some("/bin/sh".into()));
        assert_eq!(find(&"sh".into(), &folders), Some("/bin/sh".into()));
        assert_eq!(find(&"/nowhere/sh".into(), &folders), None);
    }

    #[test]
    #[should_panic(expected = "run the tests with `make test`")]
    fn a_missing_program_says_how_to_get_it() {
        need_program("NOT_A_VARIABLE_OF_OURS", &["not-a-program-of-ours"]);
    }
}
