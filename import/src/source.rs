//! Formats of inputs, with their options.

use crate::access_log::{LogMethod, LogOptions};
use crate::counters::CounterOptions;
use crate::goatcounter::GoatCounterOptions;
use crate::page::PageRule;
use visits_core::page::PageId;

/// The format of an input with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An access log of nginx or Apache, common or combined.
    AccessLog(LogOptions),
    /// A CSV export of `GoatCounter`.
    GoatCounter(GoatCounterOptions),
    /// Counters as JSON objects, as `CountAPI` and Abacus answer.
    Counters(CounterOptions),
    /// An export of this counter.
    Export,
}

impl Source {
    /// The options as text: equal for two sources if and only if they read the same from any input. It is a part of
    /// an import's digest, so what is there stays as it is, and a new option is added only where it is not the default.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::AccessLog(LogOptions { pattern, pages, count_assets, skip_bots, method }) => {
                let method = match method {
                    LogMethod::Get => "GET",
                    LogMethod::Post => "POST",
                };
                // Another version of the list may tell other agents from people.
                let (pattern, pages, bots) = (pattern.to_string(), rule(pages), visits_bots::LIST);
                format!("access-log {method} {pattern:?} {pages} assets={count_assets} skip_bots={skip_bots} {bots}")
            }
            Self::GoatCounter(GoatCounterOptions { count_bots, pages }) => {
                format!("goatcounter {} bots={count_bots}", rule(pages))
            }
            Self::Counters(CounterOptions { page, keep_namespace }) => {
                format!("counters {:?} namespace={keep_namespace}", page.as_ref().map(PageId::as_str))
            }
            Self::Export => "visits-export".to_owned(),
        }
    }
}

fn rule(PageRule { index, keep_slash }: &PageRule) -> String {
    format!("{:?} keep_slash={keep_slash}", index.as_str())
}
