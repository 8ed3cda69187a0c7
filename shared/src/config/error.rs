//! The one message about everything that is wrong with the settings.

use super::mask::masked;
use super::variables::Variable;
use std::fmt;

/// Longest value that is shown, in characters: enough to recognise it.
const SHOWN_CHARACTERS: usize = 300;

/// Wrong settings: each variable, its value with passwords masked, what is wrong, and what is accepted.
///
/// `Debug` is the same text as `Display`, since that is how `main` shows an error that it returns.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    wrong: Vec<WrongVariable>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct WrongVariable {
    variable: &'static Variable,
    /// With passwords masked: nothing else of the value is kept.
    shown: String,
    reason: String,
}

impl WrongVariable {
    pub(super) fn new(variable: &'static Variable, value: &str, reason: String) -> Self {
        let mut shown = masked(value);
        if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARACTERS) {
            shown.truncate(end);
            shown.push('…');
        }
        Self { variable, shown, reason }
    }
}

impl ConfigError {
    pub(super) fn new(wrong: Vec<WrongVariable>) -> Self {
        Self { wrong }
    }

    /// The names of the wrong variables.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.wrong.iter().map(|wrong| wrong.variable.name)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        for WrongVariable { variable: Variable { name, default, accepted }, shown, reason } in &self.wrong {
            write!(f, "\n  {name}={shown:?}: {reason}; accepted: {accepted} (default {default})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}
