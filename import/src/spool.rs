//! An input that can be read once, such as a pipe, as a file that can be read again.

use std::fs::File;
use std::io::{self, Read, Seek};

/// Copies `input` to a temporary file without a name, which takes as much of the disk as the input is long and is gone
/// with the program. An import reads its input twice.
///
/// # Errors
/// If the input fails, or the disk is full.
pub fn spool(input: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    file.rewind()?;
    Ok(file)
}
