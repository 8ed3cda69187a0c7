//! The problems of the owner's routes alone.

use http::StatusCode;
use std::time::Duration;
use visits_core::http::Problem;
use visits_core::statistics::{ChangeError, Unavailable};

/// Returns a 404: no days are kept.
pub(super) fn history_off() -> Problem {
    let detail = "no days are kept here (VISITS_HISTORY_DAYS=0), so there is no history, no top list and no summary";
    Problem::new("history-off", StatusCode::NOT_FOUND, detail)
}

/// Returns a 404: the demo is not for the world.
pub(super) fn demo_is_local() -> Problem {
    let detail = "the demo page is answered by the local run only (make run)";
    Problem::new("unknown-route", StatusCode::NOT_FOUND, detail)
}

/// Returns a 503: a shard that is needed does not answer.
pub(super) fn unavailable(Unavailable: Unavailable) -> Problem {
    let detail =
        "a shard that is needed does not answer; check that its Redis server runs and that the functions can reach it";
    Problem::unavailable("statistics-unavailable", detail, SOON)
}

/// Returns the problem of a change that is not made, or not known to be.
pub(super) fn not_changed(error: ChangeError) -> Problem {
    let (kind, retry_after, detail) = match error {
        ChangeError::KeyTaken => {
            let detail = "this Idempotency-Key was used for another change of this page, and nothing is changed now; \
                          a new change needs a new key";
            return Problem::new("idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY, detail);
        }
        ChangeError::Moving => (
            "pages-moving",
            A_MINUTE,
            "pages are moving between shards, or this counter is new and flush-visits has yet to run; nothing is \
             changed, try again in a minute",
        ),
        ChangeError::Unavailable => {
            ("not-changed", SOON, "the page's shard does not answer at the moment; nothing is changed")
        }
        ChangeError::Unknown => (
            "change-not-confirmed",
            SOON,
            "no answer came in time: the change may be made; send it again with the same Idempotency-Key, which makes \
             it once at most",
        ),
    };
    Problem::unavailable(kind, detail, retry_after)
}

const SOON: Duration = Duration::from_secs(1);

/// A ring change takes four minutes or more, and begins or ends at a schedule's minute.
const A_MINUTE: Duration = Duration::from_mins(1);
