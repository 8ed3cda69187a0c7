//! AWS's variables as Lambda sets them, with keys that AWS publishes for examples.

use visits_core::clock::ManualClock;
use visits_core::credentials::Aws;

pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const VARIABLES: [(&str, &str); 3] =
    [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", KEY)];

/// These variables and one more.
pub(crate) fn aws_with(time: &ManualClock, name: &str, value: &str) -> Aws {
    let more = (name.to_owned(), value.to_owned());
    Aws::of(time.clock(), move |wanted| if wanted == more.0 { Some(more.1.clone()) } else { variable(wanted) })
}

/// What one of them says.
pub(crate) fn variable(wanted: &str) -> Option<String> {
    VARIABLES.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
}
