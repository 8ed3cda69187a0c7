//! What a batch adds: to pages, and to the site.

use crate::page::PageId;
use crate::visit::{Refused, Visitor};

/// What a batch adds to one page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Increment {
    /// The page.
    pub page: PageId,
    /// Its visits, at least one.
    pub visits: u64,
    /// Those of them by bots.
    pub bots: u64,
    /// Who visited it, distinct and in order. Adding one to a sketch again changes nothing.
    pub visitors: Vec<Visitor>,
}

impl Increment {
    /// Visits by people.
    pub fn people(&self) -> u64 {
        self.visits - self.bots
    }

    /// Memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.page.as_str().len() + size_of_val(self.visitors.as_slice())
    }

    /// Increments of which this is the same are sent as one run: most pages of an interval have one visit or two.
    pub fn run(&self) -> (u64, u64, usize) {
        (self.visits, self.bots, self.visitors.len())
    }
}

impl From<(PageId, u64)> for Increment {
    /// Visits of which nothing more is known.
    fn from((page, visits): (PageId, u64)) -> Self {
        Self { page, visits, bots: 0, visitors: Vec::new() }
    }
}

/// What a batch adds to the site, besides what its pages add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteIncrement {
    /// Who visited the site, distinct and in order.
    pub visitors: Vec<Visitor>,
    /// Visits that were refused.
    pub refused: Refused,
}
