//! Folds journals: adds up what shards have counted since the last fold, and puts the sums into days, top lists, visitors and
//! the figures of the site.
//!
//! A shard's journal is a stream of batches, each of which `apply.lua` has counted into totals exactly once. A fold reads a
//! piece of it from the beginning and adds it up in memory ([`Sums`], pure): the larger the piece, the more visits of one page
//! are one sum. Then it writes in two steps:
//!
//! 1. Visitors go into their sketches: a page's on the shard that owns the page, the site's on the one that owns the day's. Where
//!    that shard does not answer they go into a sketch here, which the roll-up brings there later. Adding a visitor again
//!    changes nothing, so this step may happen any number of times.
//! 2. `commit.lua` adds the sums, a thousand pages at a time in the order of days and pages, and the last part deletes exactly
//!    the entries that were read. With each part it notes in the shard's record which entries are being added and the last
//!    page that is done. If it finds another note or other entries, since another fold was faster or a crash took some back,
//!    it changes nothing. A fold that finds a note reads exactly the entries that it names, and goes on behind that page.
//!
//! So each entry is added once, whatever is cut off in between, and a server that falls back to an earlier state falls back with
//! journal and sums together. An entry that is no batch is set aside with the reason and stops nothing. Days that are no
//! longer kept are left out.

use crate::batch::{Content, Increment};
use crate::budget::{Budget, Step};
use crate::clock::Clock;
use crate::day::Day;
use crate::page::PageId;
use crate::ring::Ring;
use crate::store::ShardIndex;
use crate::store::redis::RedisStore;
use crate::store::redis::keys::Key;
use crate::visit::{Refused, Visitor};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

/// Memory of the sums of all shards' pieces together, about: it fits a small function. The larger a piece, the more visits
/// of one page are one sum.
const PIECE_MEMORY: usize = 16 << 20;

/// Memory that a page takes among the sums beside its name and its visitors, about.
const PAGE_MEMORY: usize = 160;

/// Memory that an entry which is set aside counts for: few of them end a piece, since all are arguments of its last commit, and
/// `ElastiCache` Serverless takes 4,000.
const ASIDE_MEMORY: usize = 64 << 10;

/// Entries that are read at once: each mostly has one or two KB.
const ENTRIES_AT_ONCE: usize = 100;

/// Bytes that an entry is taken to need beside its batch, as `apply.lua` has it.
const ENTRY_BYTES: usize = 32;

/// Pages of days that one commit adds to at most, so that it holds a server for about as long as a flush does.
pub const PAGES_AT_ONCE: usize = 1_000;

/// Commits in a row that find another fold at work before this one leaves the shard to it.
const MAX_STALE: usize = 3;

/// Entry of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its id: the time in milliseconds by the server's clock, a hyphen and a number.
    pub id: String,
    /// Encoding of the batch.
    pub bytes: Vec<u8>,
    /// Places in the batch of pages that were not counted, since their key is of another type.
    pub rejected: Vec<usize>,
    /// Places of those that were refused as one new page too many.
    pub refused: Vec<usize>,
}

/// Returns when the entry with this id was written, in milliseconds since the Unix epoch by the server's clock. None: no
/// stream has such an id.
pub(crate) fn entry_time(id: &str) -> Option<u64> {
    id.split('-').next()?.parse().ok()
}

/// Sums of some entries. Sums of any pieces of a journal, added up, are the sums of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Visits that were counted, of all days and of none.
    pub visits: u64,
    /// Visits among them by bots.
    pub bots: u64,
    /// Visits of days that are no longer kept.
    pub too_old: u64,
    /// Days that are kept.
    pub days: BTreeMap<Day, DaySums>,
    /// Ids of entries that are no batches, with the reason.
    pub aside: Vec<(String, String)>,
}

/// Sums of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySums {
    /// Visits by people.
    pub people: u64,
    /// Visits by bots.
    pub bots: u64,
    /// Visits that were refused.
    pub refused: Refused,
    /// Pages that were visited.
    pub pages: BTreeMap<PageId, PageSums>,
}

/// Sums of one page on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSums {
    /// Visits by people.
    pub people: u64,
    /// Visits by bots.
    pub bots: u64,
    /// Visitors, as far as they may be told apart; one may be there again.
    pub visitors: Vec<Visitor>,
}

impl Sums {
    /// Adds an entry, with its day if that is `first_day` or later. Returns about how much more memory the sums take.
    pub fn add(&mut self, entry: &Entry, first_day: Day) -> usize {
        let content = match Content::decode(&entry.bytes) {
            Ok(content) => content,
            Err(reason) => {
                self.aside.push((entry.id.clone(), reason.to_string()));
                return ASIDE_MEMORY;
            }
        };
        let (mut counted, mut too_many) = (Vec::with_capacity(content.increments.len()), 0);
        for (place, increment) in content.increments.into_iter().enumerate() {
            if entry.refused.contains(&place) {
                too_many += increment.visits;
            } else if !entry.rejected.contains(&place) {
                self.visits += increment.visits;
                self.bots += increment.bots;
                counted.push(increment);
            }
        }
        match content.day {
            None => 0,
            Some(day) if day < first_day => {
                self.too_old += counted.iter().map(|one| one.visits).sum::<u64>();
                0
            }
            Some(day) => {
                let of_day = self.days.entry(day).or_default();
                of_day.refused.add_all(content.refused);
                of_day.refused.new_page += too_many;
                counted.into_iter().map(|increment| of_day.add(increment)).sum()
            }
        }
    }
}

impl DaySums {
    fn add(&mut self, increment: Increment) -> usize {
        let (people, visitors) = (increment.people(), size_of_val(increment.visitors.as_slice()));
        let (known, name) = (self.pages.len(), increment.page.as_str().len());
        self.people += people;
        self.bots += increment.bots;
        let of_page = self.pages.entry(increment.page).or_default();
        of_page.people += people;
        of_page.bots += increment.bots;
        of_page.visitors.extend(increment.visitors);
        visitors + (self.pages.len() - known) * (PAGE_MEMORY + name)
    }
}

/// Part of the sums of a piece: what one commit adds.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    /// All sums of the piece. Only its last part has them: for the site, and for what is set aside.
    pub(crate) whole: Option<&'a Sums>,
    /// Day of the pages. None: the piece has no day, or none that is left.
    pub(crate) day: Option<Day>,
    /// Sums of the day. Only its last part has them.
    pub(crate) of_day: Option<&'a DaySums>,
    /// Pages of the day, some of them.
    pub(crate) pages: Vec<(&'a PageId, &'a PageSums)>,
}

impl Sums {
    /// Divides what is not `done` into parts of so many pages of a day.
    fn parts(&self, done: Option<Progress<'_>>, pages_at_once: usize) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        for (&day, of_day) in &self.days {
            let is_left = |page: &str| done.is_none_or(|done| (day, page) > (done.day, done.page));
            // The sums of a day are added with the last of its pages.
            if !is_left(of_day.pages.last_key_value().map_or("", |(page, _)| page.as_str())) {
                continue;
            }
            let mut pages: Vec<_> = of_day.pages.iter().filter(|(page, _)| is_left(page.as_str())).collect();
            loop {
                let rest = pages.split_off(pages_at_once.min(pages.len()));
                let is_last = rest.is_empty();
                parts.push(Part { day: Some(day), of_day: is_last.then_some(of_day), pages, ..Part::default() });
                if is_last {
                    break;
                }
                pages = rest;
            }
        }
        if parts.is_empty() {
            parts.push(Part::default());
        }
        if let Some(last) = parts.last_mut() {
            last.whole = Some(self);
        }
        parts
    }
}

/// Settings of a fold.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Days that are kept, the present one included.
    pub history_days: u32,
    /// Time of the run.
    pub budget: Budget,
    /// Pages of days that one commit adds to at most: [`PAGES_AT_ONCE`], or fewer in a test.
    pub pages_at_once: usize,
}

impl Settings {
    /// Settings for days that are kept and the time of a run.
    pub fn new(history_days: u32, budget: impl Into<Budget>) -> Self {
        Self { history_days, budget: budget.into(), pages_at_once: PAGES_AT_ONCE }
    }
}

/// Outcome of a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Folded {
    /// Entries that are folded.
    pub entries_folded: u64,
    /// Visits in them.
    pub visits_folded: u64,
    /// Commits.
    pub pieces: u64,
    /// Visits in them of days that are no longer kept.
    pub visits_too_old: u64,
    /// Entries that are no batches and were set aside.
    pub entries_set_aside: u64,
    /// Visits that are counted and in no statistics, since the journal was full.
    pub statistics_skipped: u64,
    /// Days of pages that were left out, since the page's month is of another type.
    pub days_rejected: u64,
    /// Calls that brought no answer, or an error.
    pub fold_calls_failed: usize,
    /// Age of the oldest entry that was there, by this function's clock.
    pub oldest_entry_seconds: u64,
}

/// Folds the journals of these shards, each until it is empty or the time is over.
pub async fn fold(
    store: &RedisStore,
    ring: &Ring,
    clock: &Clock,
    settings: Settings,
    shards: impl IntoIterator<Item = ShardIndex>,
) -> Folded {
    let step = Step::new("fold", (store, ring, clock), settings.budget);
    let runs = shards.into_iter().map(|shard| Run { step: &step, settings, shard }.run());
    step.run(join_all(runs)).await;
    let (done, fold_calls_failed) = step.end();
    Folded { fold_calls_failed, ..done }
}

/// Fold of one shard.
struct Run<'a> {
    step: &'a Step<'a, RedisStore, Folded>,
    settings: Settings,
    shard: ShardIndex,
}

/// First entries of a journal, as far as they are read.
#[derive(Debug, Default)]
struct Piece {
    first: String,
    last: String,
    entries: usize,
    bytes: usize,
    memory: usize,
    sums: Sums,
}

impl Piece {
    fn add(&mut self, entry: Entry, first_day: Day) {
        self.memory += ENTRY_BYTES + self.sums.add(&entry, first_day);
        self.entries += 1;
        self.bytes += entry.bytes.len() + ENTRY_BYTES;
        if self.first.is_empty() {
            self.first.clone_from(&entry.id);
        }
        self.last = entry.id;
    }
}

impl Run<'_> {
    /// Folds piece by piece. Returns nothing at the end, and early where a call brings no answer.
    async fn run(self) -> Option<()> {
        let (step, mut stale) = (self.step, 0);
        while stale < MAX_STALE && !step.is_over() {
            let note = step.answer(step.store.folding(self.shard).await)?;
            let begun = Progress::read(&note);
            let mut piece = self.read(begun.map(|begun| begun.last)).await?;
            // Without its last entry the piece that was begun is gone, as after a journal's deletion.
            let done = begun.filter(|begun| begun.last == piece.last);
            if begun.is_some() && done.is_none() {
                piece = self.read(None).await?;
            }
            if piece.entries == 0 {
                return None;
            }
            self.add_visitors(&mut piece.sums).await;
            let was_all = note.is_empty() && piece.memory < self.piece_memory();
            match self.commit(&piece, done, note.clone()).await? {
                true if was_all => return None,
                true => stale = 0,
                false => stale += 1,
            }
        }
        None
    }

    /// Reads a piece: up to `last`, or as much as a piece has.
    async fn read(&self, last: Option<&str>) -> Option<Piece> {
        let (mut piece, first_day) = (Piece::default(), self.first_day());
        loop {
            let after = Some(piece.last.as_str()).filter(|after| !after.is_empty());
            let entries = self.step.store.journal(self.shard, after, last, ENTRIES_AT_ONCE).await;
            let entries = self.step.answer(entries)?;
            if let (0, Some(written)) = (piece.entries, entries.first().and_then(|first| entry_time(&first.id))) {
                let age = Duration::from_millis(self.step.clock.now().epoch_millis().saturating_sub(written));
                let mut done = self.step.done();
                done.oldest_entry_seconds = done.oldest_entry_seconds.max(age.as_secs());
            }
            let all = entries.len() < ENTRIES_AT_ONCE;
            for entry in entries {
                piece.add(entry, first_day);
            }
            if all || (last.is_none() && piece.memory >= self.piece_memory()) {
                return Some(piece);
            }
        }
    }

    /// Commits what is not `done` of a piece, part by part. Returns whether all is; otherwise another fold is at work, or the
    /// time is over.
    async fn commit(&self, piece: &Piece, done: Option<Progress<'_>>, mut note: String) -> Option<bool> {
        let entries = (piece.first.as_str(), piece.last.as_str(), piece.bytes);
        for part in piece.sums.parts(done, self.settings.pages_at_once) {
            let progress = part.day.filter(|_| part.whole.is_none()).map(|day| {
                let page = part.pages.last().map_or("", |(page, _)| page.as_str());
                Progress { last: &piece.last, day, page }.write()
            });
            let becomes = progress.unwrap_or_default();
            let commit = self.step.store.commit(self.shard, self.step.ring, entries, (&note, &becomes), &part).await;
            let Some((skipped, rejected)) = self.step.answer(commit)? else { return Some(false) };
            self.note(piece.entries, &part, skipped, &rejected);
            if !becomes.is_empty() && self.step.is_over() {
                return Some(false);
            }
            note = becomes;
        }
        Some(true)
    }

    fn piece_memory(&self) -> usize {
        PIECE_MEMORY / self.step.ring.len()
    }

    /// The first day that is kept; with no history, one that never comes.
    fn first_day(&self) -> Day {
        let today = Day::of(self.step.clock.now());
        match self.settings.history_days {
            0 => today.plus(u32::MAX),
            days => today.minus(days - 1),
        }
    }

    /// Adds visitors to the sketches of those shards that own them, or else to sketches here. They are an estimate: where both
    /// fail, that is logged, and the visits are counted all the same.
    async fn add_visitors(&self, sums: &mut Sums) {
        let (store, ring) = (self.step.store, self.step.ring);
        let mut sites = Vec::new();
        for (day, of_day) in &mut sums.days {
            let mut site = Vec::new();
            for of_page in of_day.pages.values_mut() {
                make_distinct(&mut of_page.visitors);
                site.extend_from_slice(&of_page.visitors);
            }
            make_distinct(&mut site);
            sites.push((Key::Visitors(*day, None), site));
        }
        let pages = sums.days.iter().flat_map(|(day, of_day)| {
            of_day.pages.iter().map(|(page, of_page)| (Key::Visitors(*day, Some(page.clone())), &of_page.visitors))
        });
        let mut shards: Vec<Vec<(Key, &[Visitor])>> = vec![Vec::new(); ring.len()];
        for (key, visitors) in pages.chain(sites.iter().map(|(key, site)| (key.clone(), site))) {
            if !visitors.is_empty() {
                shards[key.home(ring, self.shard)].push((key, visitors));
            }
        }
        for (owner, sketches) in shards.iter().enumerate().filter(|(_, sketches)| !sketches.is_empty()) {
            let mut added = store.add_visitors(owner, sketches).await;
            if added.is_err() && owner != self.shard {
                added = store.add_visitors(self.shard, sketches).await;
            }
            self.step.answer(added);
        }
    }

    fn note(&self, entries: usize, part: &Part<'_>, skipped: u64, rejected: &[(PageId, String)]) {
        let (shard, lines) = (self.step.name(self.shard), &self.step.lines);
        let mut done = self.step.done();
        done.pieces += 1;
        done.statistics_skipped += skipped;
        done.days_rejected += rejected.len() as u64;
        if skipped > 0 {
            tracing::error!(
                shard,
                statistics_skipped = skipped,
                "the journal was full: these visits are in no statistics"
            );
        }
        for (page, reason) in rejected {
            let (page, day) = (page.as_str(), part.day.map(tracing::field::display));
            lines.write(|| {
                tracing::error!(shard, page, day, reason, "a page's visits are counted, but not in their day");
            });
        }
        let Some(sums) = part.whole else { return };
        done.entries_folded += entries as u64;
        done.visits_folded += sums.visits;
        done.visits_too_old += sums.too_old;
        done.entries_set_aside += sums.aside.len() as u64;
        for (entry, reason) in &sums.aside {
            lines.write(|| tracing::error!(shard, entry, reason, "an entry of the journal was set aside"));
        }
    }
}

/// Note of how far a piece is added: its last entry, and the last page that is done, of this day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress<'a> {
    last: &'a str,
    day: Day,
    page: &'a str,
}

impl<'a> Progress<'a> {
    /// Reads a note. None: there is none.
    fn read(note: &'a str) -> Option<Self> {
        let mut words = note.splitn(3, ' ');
        Some(Self { last: words.next()?, day: words.next()?.parse().ok()?, page: words.next()? })
    }

    fn write(self) -> String {
        format!("{} {} {}", self.last, self.day, self.page)
    }
}

/// Leaves each of these visitors there once.
fn make_distinct(visitors: &mut Vec<Visitor>) {
    visitors.sort_unstable();
    visitors.dedup();
}
