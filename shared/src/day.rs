//! Days and months in UTC, by which visits are told apart.

use crate::clock::Moment;
use std::fmt;
use std::str::FromStr;

const MILLIS: u64 = 86_400_000;

/// The last day that has four digits for its year: 9999-12-31.
const LAST: u32 = 2_932_896;

/// A day in UTC: shown as `2026-11-24`.
///
/// ```
/// use visits_core::day::Day;
///
/// let day: Day = "2026-11-24".parse()?;
/// assert_eq!(day.minus(24).to_string(), "2026-10-31");
/// assert_eq!((day.month().to_string().as_str(), day.of_month()), ("2026-11", 24));
/// # Ok::<(), visits_core::day::InvalidDay>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(u32);

/// A month in UTC: shown as `2026-11`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: u32,
    /// 1 to 12.
    month: u32,
}

/// A text that is no day, or no month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day or month of the years 1970 to 9999: YYYY-MM-DD and YYYY-MM are accepted")]
pub struct InvalidDay;

impl Day {
    /// The day of a moment, by its wall clock.
    pub fn of(moment: Moment) -> Self {
        Self::from_epoch_millis(moment.epoch_millis())
    }

    /// The day of a time in milliseconds since the Unix epoch.
    pub fn from_epoch_millis(millis: u64) -> Self {
        Self(u32::try_from(millis / MILLIS).unwrap_or(LAST).min(LAST))
    }

    /// The day that is so many days after 1970-01-01; none after the year 9999.
    pub fn from_number(days: u32) -> Option<Self> {
        (days <= LAST).then_some(Self(days))
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> u32 {
        self.0
    }

    /// When it begins, in milliseconds since the Unix epoch.
    pub fn begins_at(self) -> u64 {
        u64::from(self.0) * MILLIS
    }

    /// The day so many days before; the first of all at the earliest.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The day so many days later; the last of all at the latest.
    #[must_use]
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days).min(LAST))
    }

    /// The days from this one to `last`, both included.
    pub fn to(self, last: Self) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (self.0..=last.0).map(Self)
    }

    /// Its month.
    pub fn month(self) -> Month {
        self.civil().0
    }

    /// Its number in the month, 1 to 31.
    pub fn of_month(self) -> u32 {
        self.civil().1
    }

    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin in March, so that the
    /// leap day is the last, and 400 years have 146,097 days.
    fn civil(self) -> (Month, u32) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + u32::from(month <= 2);
        (Month { year, month }, day)
    }
}

impl Month {
    /// Its first day. The same source as [`Day`]'s, `days_from_civil`.
    pub fn first(self) -> Day {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (era, of_era) = (year / 400, year % 400);
        let from_march = (self.month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5;
        Day(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// The day with this number, if the month has it.
    pub fn day(self, of_month: u32) -> Option<Day> {
        let day = Day(self.first().0 + of_month.checked_sub(1)?);
        (of_month <= 31 && day.month() == self).then_some(day)
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        self.first().plus(31).month()
    }

    /// Its last day.
    pub fn last(self) -> Day {
        self.next().first().minus(1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (month, day) = self.civil();
        write!(f, "{month}-{day:02}")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

debug_as_shown!(Day, Month);
json_as_shown!(Day);

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl FromStr for Month {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let (year, month) = text.split_once('-').ok_or(InvalidDay)?;
        let year = digits(year, 4).filter(|year| *year >= 1970).ok_or(InvalidDay)?;
        let month = digits(month, 2).filter(|month| (1..=12).contains(month)).ok_or(InvalidDay)?;
        Ok(Self { year, month })
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let (month, day) = text.rsplit_once('-').ok_or(InvalidDay)?;
        let month: Month = month.parse()?;
        digits(day, 2).and_then(|day| month.day(day)).ok_or(InvalidDay)
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Month};

    #[test]
    fn a_day_is_shown_as_the_calendar_has_it() {
        let table = [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_513, "2026-03-01"),
            (20_781, "2026-11-24"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (2_932_896, "9999-12-31"),
        ];
        for (number, shown) in table {
            assert_eq!(Day(number).to_string(), shown);
            assert_eq!(shown.parse(), Ok(Day(number)));
        }
        assert_eq!(Day::from_epoch_millis(u64::MAX), Day(super::LAST));
        assert_eq!(Day::from_epoch_millis(86_399_999), Day(0));
        assert_eq!(Day(1).begins_at(), 86_400_000);
    }

    #[test]
    fn every_day_reads_back_and_follows_the_one_before() {
        let mut before = (Day(0).month(), 0);
        for number in 0..60_000 {
            let day = Day(number);
            let (month, of_month) = (day.month(), day.of_month());
            assert!(month.day(of_month) == Some(day) && day.to_string().parse() == Ok(day), "{day}");
            let follows =
                (month == before.0 && of_month == before.1 + 1) || (month == before.0.next() && of_month == 1);
            assert!(follows, "{day}");
            before = (month, of_month);
        }
    }

    #[test]
    fn what_no_calendar_has_is_no_day() {
        for text in ["", "2026", "2026-11", "2026-13-01", "2026-00-01", "2026-02-29", "2026-11-31", "2026-11-00"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        for text in ["2026-1-01", "2026-011-1", "+026-11-01", "1969-12-31", "10000-01-01", "2026-11-1", "2026-11-24 "] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        assert!("2026-11-24".parse::<Month>().is_err() && "2026-11".parse::<Month>().is_ok());
    }
}
