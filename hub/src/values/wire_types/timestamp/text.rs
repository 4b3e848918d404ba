//! ISO 8601, as much of it as .NET's JSON reads and writes.

use std::fmt;

use super::{TICKS_PER_SECOND, Timestamp, Zone};

const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn write(instant: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let seconds = instant.unix_seconds();
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )?;
    let mut fraction = instant.nanoseconds() / 100;
    if fraction > 0 {
        let mut digits = 7;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")?;
    }
    f.write_str(match instant.zone {
        Zone::Utc => "Z",
        Zone::Unspecified => "",
        Zone::Local => "+00:00",
    })
}

/// `YYYY-MM-DD[Thh:mm[:ss[.f…]][Z|±hh[:mm]]]`.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    literal(&mut rest, b'-')?;
    let month = number(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    literal(&mut rest, b'-')?;
    let day = number(&mut rest, 2).filter(|day| *day >= 1)?;
    let days = days_from_civil(year, month, day);
    // A day past the end of its month is one of the next.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let mut ticks = days * SECONDS_PER_DAY * TICKS_PER_SECOND;
    let mut zone = Zone::Unspecified;
    if literal(&mut rest, b'T').is_some() {
        ticks += time(&mut rest)?;
        let (ahead, its_zone) = offset(&mut rest)?;
        ticks -= ahead;
        zone = its_zone;
    }
    let instant = Timestamp { ticks, zone };
    instant.checked().ok().filter(|_| rest.is_empty())
}

/// The time of a day, in ticks.
fn time(rest: &mut &[u8]) -> Option<i64> {
    let hour = number(rest, 2).filter(|hour| *hour < 24)?;
    literal(rest, b':')?;
    let minute = number(rest, 2).filter(|minute| *minute < 60)?;
    let mut second = 0;
    let mut fraction = 0;
    if literal(rest, b':').is_some() {
        second = number(rest, 2).filter(|second| *second < 60)?;
        // As in .NET a point may stand before a zone, with nothing between.
        if literal(rest, b'.').is_some() && !matches!(rest.first(), Some(b'Z' | b'+' | b'-')) {
            fraction = ticks_of_fraction(rest)?;
        }
    }
    Some(((hour * 60 + minute) * 60 + second) * TICKS_PER_SECOND + fraction)
}

/// One to sixteen digits behind the point; those past the seventh do not count.
fn ticks_of_fraction(rest: &mut &[u8]) -> Option<i64> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=16).contains(&digits) {
        return None;
    }
    let counted = digits.min(7);
    let value = number(rest, counted)?;
    *rest = &rest[digits - counted..];
    Some(value * 10_i64.pow(7 - counted as u32))
}

/// How far the zone is ahead of UTC, in ticks; none is taken for UTC.
fn offset(rest: &mut &[u8]) -> Option<(i64, Zone)> {
    let Some((sign, after)) = rest.split_first() else {
        return Some((0, Zone::Unspecified));
    };
    *rest = after;
    let sign = match sign {
        b'Z' => return Some((0, Zone::Utc)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = number(rest, 2)?;
    let minutes = match literal(rest, b':') {
        Some(()) => number(rest, 2).filter(|minutes| *minutes < 60)?,
        None => 0,
    };
    let minutes = hours * 60 + minutes;
    let ticks = sign * minutes * 60 * TICKS_PER_SECOND;
    (minutes <= 14 * 60).then_some((ticks, Zone::Local))
}

fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |n, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(n * 10 + digit)
    })
}

fn literal(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the
// leap day is the last of its year; 719,468 days lie between 0000-03-01 and 1970-01-01.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}
