//! The rules by which a visit is counted, and as whose: origins, pages, bots, visitors and repeats.

use http::StatusCode;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use visits_bots::{MAX_BYTES, is_bot};
use visits_core::clock::Moment;
use visits_core::config::{Config, DoNotTrack, Origins, PagePatterns, ProxyHeader};
use visits_core::http::{Problem, Request};
use visits_core::page::PageId;
use visits_core::visit::{Fingerprint, Refusal, Visit};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The site owner's rules.
pub(crate) struct Rules {
    origins: Origins,
    pages: PagePatterns,
    repeats: Option<Repeats>,
    bots: Bots,
    visitors: bool,
    do_not_track: DoNotTrack,
    client_address: Option<ProxyHeader>,
}

/// The caller of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    bot: bool,
    /// For the sketches of the day.
    visitor: Option<Fingerprint>,
    /// For the repeat window. Do-not-track does not matter here, since this leaves no memory but ours.
    repeats_as: Option<Fingerprint>,
}

impl Caller {
    /// Returns their visit of a page.
    pub(crate) fn visit(self, page: PageId) -> Visit {
        Visit { page, bot: self.bot, visitor: self.visitor }
    }
}

/// A visit that is refused: how it is counted, and what the client is told.
pub(crate) type Refused = (Refusal, Problem);

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        let window = config.repeat_window;
        Self {
            origins: config.origins.clone(),
            pages: config.pages.clone(),
            repeats: (!window.is_zero()).then(|| Repeats::new(window)),
            bots: Bots::new(),
            visitors: config.visitors && config.history_days > 0,
            do_not_track: config.do_not_track,
            client_address: config.client_address.clone(),
        }
    }

    /// Checks that visits of these pages are taken from where the request comes from. `Err` tells of the first that is not.
    pub(crate) fn check(&self, request: &Request, pages: &[PageId]) -> Result<(), Refused> {
        if self.origins != Origins::Any {
            let origin = origin_of(request);
            if !origin.is_some_and(|origin| self.origins.allow(origin)) {
                let from = origin.map_or("requests without an origin".into(), |origin| format!("the origin {origin}"));
                let detail = "the site owner lists the origins that are accepted";
                let detail = format!("visits are not taken from {from}; {detail}");
                return Err((Refusal::Origin, Problem::new("origin-not-allowed", StatusCode::FORBIDDEN, detail)));
            }
        }
        let refused = pages.iter().find(|page| !self.pages.allow(page.as_str()));
        refused.map_or(Ok(()), |page| {
            let detail = format!("the page {page} is not counted here; the site owner lists the pages that are");
            Err((Refusal::Page, Problem::new("page-not-allowed", StatusCode::FORBIDDEN, detail)))
        })
    }

    /// Returns the caller, as far as the settings want it known.
    pub(crate) fn caller(&self, request: &Request) -> Caller {
        let agent = request.header("user-agent").unwrap_or_default();
        let bot = self.bots.is_bot(agent);
        let hides = request.do_not_track() && self.do_not_track == DoNotTrack::Respect;
        let known = self.visitors && !bot && !hides;
        let fingerprint = (known || self.repeats.is_some())
            .then(|| Fingerprint::of(&request.client_address(self.client_address.as_ref()), agent));
        Caller {
            bot,
            visitor: fingerprint.filter(|_| known),
            repeats_as: fingerprint.filter(|_| self.repeats.is_some()),
        }
    }

    /// Tells whether this is no repeat. From now on the same visit is one.
    pub(crate) fn begin(&self, page: &PageId, caller: Caller, now: impl FnOnce() -> Moment) -> bool {
        self.windows(caller).is_none_or(|(repeats, visitor)| repeats.begin(page, visitor, now()))
    }

    /// Forgets a visit that was not counted after all: the next one is no repeat of it.
    pub(crate) fn forget(&self, page: &PageId, caller: Caller) {
        if let Some((repeats, visitor)) = self.windows(caller) {
            repeats.forget(page, visitor);
        }
    }

    fn windows(&self, caller: Caller) -> Option<(&Repeats, Fingerprint)> {
        self.repeats.as_ref().zip(caller.repeats_as)
    }
}

/// Returns the origin of the page that a request comes from: `Origin`, where the browser sends it; else the origin of
/// `Referer`, which images have. `null` is an origin that no setting can list.
fn origin_of(request: &Request) -> Option<&str> {
    request.header("origin").or_else(|| request.header("referer").map(origin_of_url))
}

/// Returns scheme, host and port of a URL, as browsers write them: in lower case, without the scheme's own port.
fn origin_of_url(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#', '\\']).map_or(url.len(), |length| host + length);
    &url[..end]
}

/// Agents that are remembered, 8 bytes each; a power of two.
const SLOTS: usize = 1_024;

/// The lowest bit of a slot is the verdict, the others are the agent's hash.
const BOT: u64 = 1;

/// The verdicts on user agents, remembered: a site sees the same few hundred agents again and again.
struct Bots {
    slots: Box<[AtomicU64]>,
    /// Of this environment only: no caller knows which agents share a slot or a hash.
    seed: u64,
}

impl Bots {
    fn new() -> Self {
        let slots = std::iter::repeat_with(|| AtomicU64::new(0)).take(SLOTS).collect();
        Self { slots, seed: RandomState::new().hash_one(0) }
    }

    /// Tells whether an agent is a bot's. A known one takes its hash and one load.
    fn is_bot(&self, agent: &str) -> bool {
        let looked_at = &agent.as_bytes()[..agent.len().min(MAX_BYTES)];
        let hash = xxh3_64_with_seed(looked_at, self.seed);
        let known = hash & !BOT;
        let slot = &self.slots[usize::try_from(hash >> 1).unwrap_or_default() % SLOTS];
        // Each slot is whole by itself, and the order of slots means nothing.
        let last = slot.load(Ordering::Relaxed);
        if last & !BOT == known && last != 0 {
            return last & BOT != 0;
        }
        let bot = is_bot(agent);
        slot.store(known | u64::from(bot), Ordering::Relaxed);
        bot
    }
}

/// Visits in one of two generations, some 50 bytes each. Beyond it the oldest are forgotten early, and would count again.
const MAX_REMEMBERED: usize = 20_000;

/// Visits of the same page by the same visitor within a time, which count once.
///
/// Each environment remembers its own: two visits that Lambda gives to two environments both count. To make that exact would take
/// a question to Redis before each visit, which this counter is there to spare.
struct Repeats {
    window: Duration,
    /// Pages and visitors are known by a hash of which no caller can make two alike.
    hashing: RandomState,
    seen: Mutex<Generations>,
}

/// Visits by when they were counted. What is older than the window lies in `old` at most, which is dropped whole.
#[derive(Default)]
struct Generations {
    begun: Option<Moment>,
    young: HashMap<u64, Moment>,
    old: HashMap<u64, Moment>,
}

impl Repeats {
    fn new(window: Duration) -> Self {
        Self { window, hashing: RandomState::new(), seen: Mutex::default() }
    }

    /// Tells whether no such visit was counted within the window before `now`. Then this one begins the next window.
    fn begin(&self, page: &PageId, visitor: Fingerprint, now: Moment) -> bool {
        let key = self.key(page, visitor);
        let mut seen = self.lock();
        let counted = seen.young.get(&key).or_else(|| seen.old.get(&key));
        if counted.is_some_and(|counted| now.since(*counted) < self.window) {
            return false;
        }
        let begun = *seen.begun.get_or_insert(now);
        if now.since(begun) >= self.window || seen.young.len() >= MAX_REMEMBERED {
            seen.old = std::mem::take(&mut seen.young);
            seen.begun = Some(now);
        }
        seen.young.insert(key, now);
        true
    }

    /// Forgets the last such visit: it was not counted after all.
    fn forget(&self, page: &PageId, visitor: Fingerprint) {
        let key = self.key(page, visitor);
        let mut seen = self.lock();
        seen.young.remove(&key);
        seen.old.remove(&key);
    }

    fn key(&self, page: &PageId, visitor: Fingerprint) -> u64 {
        self.hashing.hash_one((page.as_str(), visitor))
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Whatever a panic left behind, it is no more than a visit too many or too few.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visits_core::clock::ManualClock;

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    const ADDRESS: &str = "192.0.2.1";

    fn rules(settings: &[(&str, &str)]) -> Rules {
        let setting = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        Rules::new(&Config::from_vars(setting).unwrap())
    }

    fn request(agent: Option<&str>, do_not_track: bool) -> Request {
        let mut request = Request { address: Some(ADDRESS.to_owned()), ..Request::default() };
        agent.map(|agent| request.headers.insert("user-agent", agent.parse().unwrap()));
        do_not_track.then(|| request.headers.insert("dnt", "1".parse().unwrap()));
        request
    }

    #[test]
    fn bots_and_who_asks_not_to_be_followed_are_no_visitors() {
        let googlebot = Some("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
        for (settings, agent, hides, bot, known) in [
            (None, googlebot, false, true, false),
            (None, None, false, true, false),
            (None, Some(BROWSER), true, false, false),
            (Some(("VISITS_DO_NOT_TRACK", "ignore")), Some(BROWSER), true, false, true),
            (Some(("VISITS_VISITORS", "off")), Some(BROWSER), false, false, false),
            (Some(("VISITS_HISTORY_DAYS", "0")), Some(BROWSER), false, false, false),
            (Some(("VISITS_REPEAT_WINDOW", "30s")), Some(BROWSER), true, false, false),
            (Some(("VISITS_REPEAT_WINDOW", "30s")), Some(BROWSER), false, false, true),
        ] {
            let rules = rules(settings.as_slice());
            let caller = rules.caller(&request(agent, hides));
            assert_eq!((caller.bot, caller.visitor.is_some()), (bot, known), "{settings:?} {agent:?}");
            assert_eq!(caller.repeats_as.is_some(), rules.repeats.is_some(), "whoever it is");
        }
    }

    fn origin(origin: Option<&str>, referer: Option<&str>) -> Option<String> {
        let mut request = Request::default();
        origin.map(|origin| request.headers.insert("origin", origin.parse().unwrap()));
        referer.map(|referer| request.headers.insert("referer", referer.parse().unwrap()));
        origin_of(&request).map(str::to_owned)
    }

    #[test]
    fn the_origin_is_what_the_browser_says_or_what_its_referrer_has() {
        let table = [
            (Some("https://a.test"), None, Some("https://a.test")),
            (Some("https://a.test"), Some("https://b.test/x"), Some("https://a.test")),
            (Some("null"), Some("https://b.test/x"), Some("null")),
            (None, Some("https://b.test/x?y#z"), Some("https://b.test")),
            (None, Some("https://b.test"), Some("https://b.test")),
            (None, Some("http://b.test:8080/"), Some("http://b.test:8080")),
            (None, Some("https://b.test?https://c.test/"), Some("https://b.test")),
            (None, None, None),
        ];
        for (given, referer, expected) in table {
            assert_eq!(origin(given, referer).as_deref(), expected, "{given:?} {referer:?}");
        }
    }

    #[test]
    fn no_forged_referer_has_an_allowed_origin() {
        for forged in [
            "https://a.test@evil.test/",
            "https://a.test.evil.test/",
            "https://a.test:443@evil.test",
            "https://evil.test/https://a.test/",
            "https://evil.test\\https://a.test",
            "https://a.testé/",
            "//a.test/",
            "a.test",
            "",
        ] {
            assert_ne!(origin(None, Some(forged)).as_deref(), Some("https://a.test"), "{forged}");
        }
    }

    #[test]
    fn a_remembered_verdict_is_the_first_one() {
        let bots = Bots::new();
        // More agents than there is room for, half of them bots'.
        let agents: Vec<String> =
            (0..SLOTS * 2)
                .map(|n| {
                    if n % 2 == 0 { format!("Mozilla/5.0 (X{n}) Gecko/1 Firefox/{n}.0") } else { format!("curl/{n}.0") }
                })
                .chain([String::new(), "é".repeat(1_000)])
                .collect();
        for _ in 0..3 {
            for agent in &agents {
                for _ in 0..2 {
                    assert_eq!(bots.is_bot(agent), is_bot(agent), "{agent}");
                }
            }
        }
    }

    #[test]
    fn no_two_environments_have_the_same_slots() {
        assert_ne!(Bots::new().seed, Bots::new().seed);
    }

    const WINDOW: Duration = Duration::from_secs(30);

    fn page(id: &str) -> PageId {
        PageId::from_decoded(id).unwrap()
    }

    fn visitor(n: usize) -> Fingerprint {
        Fingerprint::of(&n.to_string(), "")
    }

    fn after(time: &ManualClock, seconds: u64) -> Moment {
        time.advance(Duration::from_secs(seconds));
        time.clock().now()
    }

    #[test]
    fn within_the_window_a_visitor_counts_once_a_page() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        let (home, other) = (page("home"), page("other"));
        assert!(repeats.begin(&home, visitor(1), after(&time, 0)));
        assert!(!repeats.begin(&home, visitor(1), after(&time, 29)));
        assert!(repeats.begin(&home, visitor(2), after(&time, 0)));
        assert!(repeats.begin(&other, visitor(1), after(&time, 0)));
        // A repeat begins no window: who reloads all the time still counts now and then.
        assert!(repeats.begin(&home, visitor(1), after(&time, 1)));
        assert!(!repeats.begin(&home, visitor(1), after(&time, 29)));
        assert!(repeats.begin(&home, visitor(1), after(&time, 1)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        let home = page("home");
        for n in 0..MAX_REMEMBERED * 3 {
            assert!(repeats.begin(&home, visitor(n), after(&time, 0)), "{n}");
            let seen = repeats.lock();
            assert!(seen.young.len() + seen.old.len() <= MAX_REMEMBERED * 2);
        }
        assert!((MAX_REMEMBERED * 2..MAX_REMEMBERED * 3).all(|n| !repeats.begin(&home, visitor(n), after(&time, 0))));
    }

    #[test]
    fn what_is_older_than_two_windows_takes_no_memory() {
        let (repeats, time) = (Repeats::new(WINDOW), ManualClock::new());
        for n in 0..100 {
            repeats.begin(&page("home"), visitor(n), after(&time, 0));
        }
        repeats.begin(&page("home"), visitor(0), after(&time, 30));
        repeats.begin(&page("home"), visitor(0), after(&time, 30));
        let seen = repeats.lock();
        assert_eq!(seen.young.len() + seen.old.len(), 2);
    }
}
