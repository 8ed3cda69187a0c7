//! Which visits are counted, and as whose.

mod bots;
mod origin;
mod repeats;

use bots::Bots;
use repeats::Repeats;
use visits_core::clock::Moment;
use visits_core::config::{Config, DoNotTrack, Origins, PagePatterns};
use visits_core::http::{Problem, Request};
use visits_core::page::PageId;
use visits_core::visit::{Fingerprint, Refusal, Visit};

/// The site owner's rules.
pub(crate) struct Rules {
    origins: Origins,
    pages: PagePatterns,
    repeats: Option<Repeats>,
    bots: Bots,
    visitors: bool,
    do_not_track: DoNotTrack,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    bot: bool,
    /// For the sketches of the day.
    visitor: Option<Fingerprint>,
    /// For the repeat window: whoever it is, since this leaves no memory but ours.
    repeats_as: Option<Fingerprint>,
}

impl Caller {
    /// Their visit of a page.
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
        }
    }

    /// Checks that visits of these pages are taken from where the request comes from. `Err` tells of the first that is not.
    pub(crate) fn check(&self, request: &Request, pages: &[PageId]) -> Result<(), Refused> {
        if self.origins != Origins::Any {
            let origin = origin::of(request);
            if !origin.is_some_and(|origin| self.origins.allow(origin)) {
                return Err((Refusal::Origin, Problem::origin_not_allowed(origin)));
            }
        }
        let refused = pages.iter().find(|page| !self.pages.allow(page.as_str()));
        refused.map_or(Ok(()), |page| Err((Refusal::Page, Problem::page_not_allowed(page))))
    }

    /// Who calls, as far as the settings want it known.
    pub(crate) fn caller(&self, request: &Request) -> Caller {
        let agent = request.header("user-agent").unwrap_or_default();
        let bot = self.bots.is_bot(agent);
        let hides = request.do_not_track() && self.do_not_track == DoNotTrack::Respect;
        let known = self.visitors && !bot && !hides;
        let fingerprint = (known || self.repeats.is_some())
            .then(|| Fingerprint::of(request.address.as_deref().unwrap_or_default(), agent));
        Caller {
            bot,
            visitor: fingerprint.filter(|_| known),
            repeats_as: fingerprint.filter(|_| self.repeats.is_some()),
        }
    }

    /// Whether this is no repeat. From now on the same visit is one.
    pub(crate) fn begin(&self, page: &PageId, caller: Caller, now: impl FnOnce() -> Moment) -> bool {
        self.windows(caller).is_none_or(|(repeats, visitor)| repeats.begin(page, visitor, now()))
    }

    /// A visit was not counted after all: the next one is no repeat of it.
    pub(crate) fn forget(&self, page: &PageId, caller: Caller) {
        if let Some((repeats, visitor)) = self.windows(caller) {
            repeats.forget(page, visitor);
        }
    }

    fn windows(&self, caller: Caller) -> Option<(&Repeats, Fingerprint)> {
        self.repeats.as_ref().zip(caller.repeats_as)
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use visits_core::config::Config;
    use visits_core::http::Request;
    use visits_core::page::PageId;
    use visits_core::visit::Fingerprint;

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
    fn a_person_is_known_by_address_and_agent() {
        let caller = rules(&[]).caller(&request(Some(BROWSER), false));
        assert_eq!((caller.bot, caller.visitor), (false, Some(Fingerprint::of(ADDRESS, BROWSER))));
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

    #[test]
    fn pages_and_origins_are_free_by_default() {
        let rules = rules(&[]);
        assert!(rules.check(&request(None, false), &[PageId::from_decoded("a/b").unwrap()]).is_ok());
    }
}
