//! `visits plan`: what a ring change would move, before it is made. Pages are placed by both rings; nothing is written.

use crate::output::{Failure, NO_ERRORS, Outcome, Output, percent, share, table};
use crate::shards::{Shards, are_moving};
use serde::Serialize;
use std::collections::BTreeMap;
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::shard::{ShardConfig, ShardName};

/// Number of pages for each pair of shards: on the first now, and on the second after the change.
type Pages<'a> = BTreeMap<(&'a ShardName, &'a ShardName), u64>;

/// Effects of a change. Shares are from 0 to 1.
#[derive(Serialize)]
struct Document {
    pages: u64,
    moving: u64,
    moving_share: f64,
    /// Share that must move for the new weights at least: the sum of all gains.
    least_share: f64,
    shards: Vec<ShardPlan>,
    moves: Vec<Move>,
    warnings: Vec<String>,
}

/// A shard before and after.
#[derive(Serialize)]
struct ShardPlan {
    shard: String,
    /// Kind of the change.
    change: &'static str,
    /// None: it is not listed there.
    weight_before: Option<u8>,
    weight_after: Option<u8>,
    pages_before: u64,
    pages_after: u64,
    share_after: f64,
    /// Its part of all weight.
    ideal_share: f64,
}

/// Pages that go from one shard to another.
#[derive(Serialize)]
struct Move {
    from: String,
    to: String,
    pages: u64,
    /// Of all pages.
    share: f64,
}

/// Compares the shards as they are with those that `after` names.
pub(crate) async fn run(after: &Config, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let rings = shards.rings().await?;
    shards.warn_of_missing(&rings);
    if are_moving(&rings) {
        shards.warn("pages are moving: those on their way between two shards are not counted here".to_owned());
    }
    let (ring, mut pages) = (after.ring(), Pages::new());
    for shard in 0..shards.len() {
        let from = shards.ring.name(shard);
        let add = |page: &PageId| *pages.entry((from, ring.name(ring.owner(page.as_str())))).or_default() += 1;
        shards.walk_held(shard, add).await?;
    }
    let mut document = Document::new(&shards.config.shards, &after.shards, &pages);
    for warning in std::mem::take(&mut document.warnings) {
        shards.warn(warning);
    }
    document.warnings = shards.finish();
    output.document(&document, &document.text(), NO_ERRORS, &document.warnings)
}

impl Document {
    /// Returns the plan of a change from one list of shards to another, with warnings of what may lose pages, or is no ring
    /// change at all.
    fn new(before: &[ShardConfig], after: &[ShardConfig], pages: &Pages<'_>) -> Self {
        let weight = |list: &[ShardConfig]| list.iter().map(|shard| u64::from(shard.weight.get())).sum::<u64>();
        let (weight_before, weight_after) = (weight(before), weight(after));
        let all = pages.values().sum();
        let new = after.iter().filter(|shard| find(before, &shard.name).is_none());
        let (mut least_share, mut warnings) = (0.0, Vec::new());
        let mut plan = |ShardConfig { name, .. }: &ShardConfig| {
            let (old, new) = (find(before, name), find(after, name));
            let ideal =
                |shard: Option<&ShardConfig>, all| shard.map_or(0.0, |shard| share(shard.weight.get().into(), all));
            let ideal_share = ideal(new, weight_after);
            least_share += (ideal_share - ideal(old, weight_before)).max(0.0);
            let sum = |is_its: &dyn Fn(&(&ShardName, &ShardName)) -> bool| {
                pages.iter().filter(|(pair, _)| is_its(pair)).map(|(_, pages)| pages).sum::<u64>()
            };
            let (pages_before, pages_after) = (sum(&|(from, _)| *from == name), sum(&|(_, to)| *to == name));
            warnings.extend(lost(name, new, pages_before));
            warnings.extend(old.and_then(|old| renamed(old, before, after)));
            warnings.extend(old.zip(new).and_then(|(old, new)| relocated(old, new)));
            ShardPlan {
                shard: name.to_string(),
                change: change(old, new),
                weight_before: old.map(|shard| shard.weight.get()),
                weight_after: new.map(|shard| shard.weight.get()),
                pages_before,
                pages_after,
                share_after: share(pages_after, all),
                ideal_share,
            }
        };
        let shards = before.iter().chain(new).map(&mut plan).collect();
        let place = |name: &ShardName| before.iter().chain(after).position(|shard| shard.name == *name);
        let mut leaving: Vec<_> = pages.iter().filter(|((from, to), _)| from != to).collect();
        leaving.sort_by_key(|((from, to), _)| (place(from), place(to)));
        let moving = leaving.iter().map(|(_, pages)| **pages).sum();
        let one = |(&(from, to), &pages): (&(&ShardName, &ShardName), &u64)| Move {
            from: from.to_string(),
            to: to.to_string(),
            pages,
            share: share(pages, all),
        };
        let moves = leaving.into_iter().map(one).collect();
        Self { pages: all, moving, moving_share: share(moving, all), least_share, shards, moves, warnings }
    }

    /// Returns a row for each shard, a row for each pair of shards between which pages move, and the sum.
    fn text(&self) -> String {
        let Self { pages, moving, .. } = self;
        let weight = |weight: Option<u8>| weight.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
        let shards = self.shards.iter().map(|shard| {
            [
                shard.shard.clone(),
                shard.change.to_owned(),
                format!("{} -> {}", weight(shard.weight_before), weight(shard.weight_after)),
                shard.pages_before.to_string(),
                shard.pages_after.to_string(),
                percent(shard.share_after),
                percent(shard.ideal_share),
            ]
        });
        let columns = ["SHARD", "CHANGE", ">WEIGHT", ">PAGES NOW", ">PAGES THEN", ">SHARE THEN", ">IDEAL"];
        let mut text = table(columns, shards) + "\n";
        if !self.moves.is_empty() {
            let row = |one: &Move| [one.from.clone(), one.to.clone(), one.pages.to_string(), percent(one.share)];
            text += &(table(["FROM", "TO", ">PAGES", ">OF ALL"], self.moves.iter().map(row)) + "\n");
        }
        let (moving_share, least) = (percent(self.moving_share), percent(self.least_share));
        text + &format!("{moving} of {pages} pages would move ({moving_share}); these weights need {least} at least.\n")
    }
}

fn find<'a>(list: &'a [ShardConfig], name: &ShardName) -> Option<&'a ShardConfig> {
    list.iter().find(|shard| shard.name == *name)
}

fn change(before: Option<&ShardConfig>, after: Option<&ShardConfig>) -> &'static str {
    match (before, after) {
        (_, None) => "removed",
        (_, Some(after)) if after.weight.get() == 0 => "draining",
        (None, _) => "new",
        (Some(before), Some(after)) if before.weight != after.weight => "reweighted",
        _ => "kept",
    }
}

fn lost(name: &ShardName, after: Option<&ShardConfig>, pages: u64) -> Option<String> {
    (after.is_none() && pages > 0).then(|| {
        format!(
            "shard {name} still holds {pages} pages, and nothing moves them once it is not listed: list it with ;weight=0 \
             until it is empty"
        )
    })
}

/// Warns of a server that goes on under another name.
fn renamed(old: &ShardConfig, before: &[ShardConfig], after: &[ShardConfig]) -> Option<String> {
    let is_heir = |new: &&ShardConfig| new.endpoint == old.endpoint && find(before, &new.name).is_none();
    let new = after.iter().find(is_heir).filter(|_| find(after, &old.name).is_none())?;
    let (old, new) = (&old.name, &new.name);
    Some(format!("shard {new} is at the address of shard {old}: a shard's name decides over its pages, so keep it"))
}

/// Warns of a shard that is to be found elsewhere.
fn relocated(old: &ShardConfig, new: &ShardConfig) -> Option<String> {
    let (name, from, to) = (&old.name, &old.endpoint, &new.endpoint);
    (from != to).then(|| format!("shard {name} goes from {from} to {to}: its data must have been brought there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(before: &str, after: &str, pages: &[(&str, u64)]) -> Document {
        let list =
            |list: &str| Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| list.into())).unwrap().shards;
        let pages: Vec<(ShardName, u64)> = pages.iter().map(|(name, pages)| (name.parse().unwrap(), *pages)).collect();
        Document::new(&list(before), &list(after), &pages.iter().map(|(on, pages)| ((on, on), *pages)).collect())
    }

    #[test]
    fn each_shards_change_is_told() {
        let plan = plan(
            "a=redis://a,b=redis://b,c=redis://c,d=redis://d",
            "e=redis://e,f=redis://f;weight=0,c=redis://c;weight=2,b=redis://b;weight=0,a=redis://a",
            &[],
        );
        let changes: Vec<_> = plan.shards.iter().map(|shard| (shard.shard.as_str(), shard.change)).collect();
        let kept = [("a", "kept"), ("b", "draining"), ("c", "reweighted")];
        assert_eq!(changes, [&kept[..], &[("d", "removed"), ("e", "new"), ("f", "draining")]].concat());
    }

    #[test]
    fn at_least_what_shards_get_on_top_must_move() {
        for (before, after, least) in [
            ("a=redis://a", "a=redis://a", "0.0%"),
            ("a=redis://a,b=redis://b", "a=redis://a,b=redis://b,c=redis://c", "33.3%"),
            ("a=redis://a,b=redis://b", "a=redis://a,b=redis://b;weight=0", "50.0%"),
        ] {
            assert_eq!(percent(plan(before, after, &[]).least_share), least, "{before} to {after}");
        }
    }

    #[test]
    fn what_may_lose_pages_is_warned_of() {
        let two = "a=redis://a,b=redis://:SECRET@b";
        for (after, on_b, warning) in [
            ("a=redis://a", 2, "shard b still holds 2 pages, and nothing moves them"),
            ("a=redis://a", 0, ""),
            ("a=redis://a,b=redis://:SECRET@b;weight=0", 2, ""),
            ("a=redis://a,c=redis://:SECRET@b", 0, "at the address of shard b"),
            ("a=redis://a,b=redis://:SECRET@c", 1, "from redis://:***@b:6379/0 to redis://:***@c:6379/0"),
        ] {
            let warnings = plan(two, after, &[("a", 1), ("b", on_b)]).warnings.join("\n");
            assert!(warnings.contains(warning) && warnings.is_empty() == warning.is_empty(), "{after}: {warnings}");
        }
    }
}
