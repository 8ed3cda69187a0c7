//! What clap says about a wrong command line, with passwords masked: it repeats the argument that it does not know,
//! and that may be a list of endpoints.

use crate::exit::USAGE;
use crate::output::printable;
use std::io::{self, Write as _};
use std::process::ExitCode;
use visits_core::config::masked;

/// Shows help and version on standard output, an error on standard error, and gives the exit code.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let text = mask(&error.render().to_string(), std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into()));
    let text = printable(&text);
    // Where the stream is closed, nobody can be told.
    if error.use_stderr() {
        let _ = write!(io::stderr(), "{text}");
        USAGE.into()
    } else {
        let _ = write!(io::stdout(), "{text}");
        ExitCode::SUCCESS
    }
}

fn mask(text: &str, args: impl Iterator<Item = String>) -> String {
    // Of `--flag=value`, clap repeats each part on its own.
    let parts = args.flat_map(|arg| {
        let value = arg.split_once('=').map(|(_, value)| value.to_owned());
        [Some(arg), value]
    });
    let mut secret: Vec<String> = parts.flatten().filter(|part| masked(part) != part.as_str()).collect();
    // The longest first: one may be a part of another.
    secret.sort_by_key(|part| std::cmp::Reverse(part.len()));
    secret.iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), masked(part)))
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_password_in_an_argument_is_masked_where_the_message_repeats_it() {
        for arg in ["a=redis://:SECRET@h", "--endpoint=a=redis://:SECRET@h", "redis://u:SECRET@h"] {
            let value = arg.strip_prefix("--endpoint=").unwrap_or(arg);
            let message = format!("error: unexpected argument '{value}' found, and '{arg}'");
            let shown = mask(&message, [arg.to_owned()].into_iter());
            assert!(!shown.contains("SECRET") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        let args = ["get", "--all", "a/b=c"].map(str::to_owned);
        assert_eq!(
            mask("error: unexpected argument '--all' found", args.into_iter()),
            "error: unexpected argument '--all' found"
        );
    }
}
