//! Reads variables one after another and gathers what is wrong.

use super::error::{ConfigError, WrongVariable};
use super::variables::Variable;
use std::ffi::OsString;
use std::fmt::Display;

/// Set by Lambda, never by the site owner.
const MAX_CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY";

pub(super) struct Vars<F> {
    lookup: F,
    wrong: Vec<WrongVariable>,
}

impl<F: Fn(&str) -> Option<OsString>> Vars<F> {
    pub(super) fn new(lookup: F) -> Self {
        Self { lookup, wrong: Vec::new() }
    }

    /// The value of a variable. A wrong one is noted, and the default stands in until [`Vars::finish`].
    pub(super) fn read<T, E: Display>(
        &mut self,
        variable: &'static Variable,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> T {
        if let Some(value) = self.set(variable.name) {
            match value.to_str().map(|text| parse(text.trim())) {
                Some(Ok(value)) => return value,
                Some(Err(reason)) => self.note(variable, &value, reason),
                None => self.note(variable, &value, "not UTF-8"),
            }
        }
        match parse(variable.default) {
            Ok(value) => value,
            Err(reason) => unreachable!("the default of {} is accepted: {reason}", variable.name),
        }
    }

    /// Requests at a time. Whatever is not a number above 0 means one, as it does to the Lambda runtime.
    pub(super) fn max_concurrency(&self) -> usize {
        let set = self.set(MAX_CONCURRENCY);
        let number = set.and_then(|value| value.to_str()?.trim().parse().ok());
        number.filter(|&number| number > 0).unwrap_or(1)
    }

    /// `value` if every variable was right.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.wrong.is_empty() { Ok(value) } else { Err(ConfigError::new(self.wrong)) }
    }

    fn set(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.to_string_lossy().trim().is_empty())
    }

    fn note(&mut self, variable: &'static Variable, value: &OsString, reason: impl Display) {
        self.wrong.push(WrongVariable::new(variable, &value.to_string_lossy(), reason.to_string()));
    }
}
