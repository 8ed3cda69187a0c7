//! Small text files that settings name: read whole, never without a bound, and never shown.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Why a file was not read. Nothing of what it holds is repeated: it may be a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TextFileError {
    #[error("the file cannot be read: {0}")]
    Read(String),
    #[error("it is not a file")]
    NotAFile,
    #[error("the file is longer than {0} bytes")]
    TooLong(u64),
    #[error("the file is not text")]
    NotText,
}

impl From<io::Error> for TextFileError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.to_string())
    }
}

/// The whole file, which has at most `most` bytes of UTF-8. Blocks for as long as the disk takes.
pub(crate) fn read(path: &Path, most: u64) -> Result<String, TextFileError> {
    // First, since opening a named pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(TextFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(TextFileError::TooLong(most));
    }
    String::from_utf8(bytes).map_err(|_| TextFileError::NotText)
}
