//! Dates, times and decimals as text, the way statistics and partition values write them.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};

use crate::expr::power_of_ten;

const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
pub(super) const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// Days from the first day of year 1 to 1970-01-01, counted from 1.
const EPOCH_FROM_CE: i32 = 719_163;

/// Reads `yyyy-MM-dd` (longer or signed years too) as days since the epoch.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (rest, day) = split_two_digits(unsigned)?;
    let (year, month) = split_two_digits(rest.strip_suffix('-')?)?;
    let year = year.strip_suffix('-').filter(|year| year.len() >= 4 && all_digits(year))?;
    let date = NaiveDate::from_ymd_opt(sign * year.parse::<i32>().ok()?, month, day)?;
    date.num_days_from_ce().checked_sub(EPOCH_FROM_CE)
}

/// A point in time as read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Microseconds since the epoch: UTC when an offset was given, else wall-clock time.
    pub(super) micros: i64,
    /// Seconds east of UTC, when given.
    pub(super) offset: Option<i32>,
    /// Whether there was a day and no time of day.
    pub(super) day_only: bool,
}

/// Reads `yyyy-MM-dd`, then optionally a space or `T`, `HH:mm:ss`, up to nine digits behind a point (those past
/// microseconds are cut), then optionally `Z` or an offset.
pub(super) fn parse_moment(text: &str) -> Option<Moment> {
    let Some(at) = text.find(['T', ' ']) else {
        let micros = i64::from(parse_date(text)?).checked_mul(MICROS_PER_DAY)?;
        return Some(Moment { micros, offset: None, day_only: true });
    };
    let days = i64::from(parse_date(&text[..at])?);
    let time = &text[at + 1..];
    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let offset = parse_offset(&time[zone_at..])?;
    let wall = days.checked_mul(MICROS_PER_DAY)?.checked_add(parse_time(&time[..zone_at])?)?;
    let micros = wall.checked_sub(i64::from(offset.unwrap_or(0)) * MICROS_PER_SECOND)?;
    Some(Moment { micros, offset, day_only: false })
}

fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let [hour, minute, second] = clock.split(':').collect::<Vec<_>>()[..] else { return None };
    let time = NaiveTime::from_hms_opt(two_digits(hour)?, two_digits(minute)?, two_digits(second)?)?;
    if !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(i64::from(time.num_seconds_from_midnight()) * MICROS_PER_SECOND + micros)
}

/// The inner `None` when there is no offset, the outer when the text is not one.
fn parse_offset(text: &str) -> Option<Option<i32>> {
    let sign = match text.as_bytes().first() {
        None => return Some(None),
        Some(b'Z' | b'z') => return (text.len() == 1).then_some(Some(0)),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits = text[1..].replace(':', "");
    let (hours, rest) = digits.split_at_checked(2)?;
    let (minutes, seconds) = rest.split_at_checked(2).unwrap_or(("00", rest));
    let seconds = if seconds.is_empty() { "00" } else { seconds };
    let time = NaiveTime::from_hms_opt(two_digits(hours)?, two_digits(minutes)?, two_digits(seconds)?)?;
    Some(Some(sign * i32::try_from(time.num_seconds_from_midnight()).ok()?))
}

fn split_two_digits(text: &str) -> Option<(&str, u32)> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(2)?)?;
    Some((rest, two_digits(digits)?))
}

fn two_digits(text: &str) -> Option<u32> {
    if text.len() == 2 && all_digits(text) { text.parse().ok() } else { None }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `yyyy-MM-dd`; `None` beyond some 260,000 years.
pub(super) fn format_date(days: i32) -> Option<String> {
    let date = NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_FROM_CE)?)?;
    let (year, month, day) = (date.year(), date.month(), date.day());
    let sign = match year {
        ..0 => "-",
        0..=9999 => "",
        _ => "+",
    };
    Some(format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()))
}

/// Day, `between`, and time of day with `digits` behind the point; digits past them are cut downwards.
pub(super) fn format_moment(micros: i64, between: char, digits: u32) -> Option<String> {
    let date = format_date(i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?)?;
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, micros) = (of_day / MICROS_PER_SECOND, of_day % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{date}{between}{hour:02}:{minute:02}:{second:02}");
    if digits > 0 {
        let fraction = micros / 10_i64.pow(6_u32.saturating_sub(digits));
        text.push_str(&format!(".{fraction:0width$}", width = digits.min(6) as usize));
    }
    Some(text)
}

/// Reads a decimal number, exponent allowed, as the greatest whole number of `10^-scale` not above it, and whether it
/// is just that; `None` when it is no number or too large for 128 bits.
pub(super) fn parse_decimal(text: &str, scale: u8) -> Option<(i128, bool)> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |part: &str| part.is_empty() || all_digits(part);
    if !is_number(whole) || !is_number(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    // 128 bits hold any 38 digits; of what comes behind them only the number counts.
    let (kept, cut) = significant.split_at(significant.len().min(38));
    let shift =
        i64::from(exponent) + i64::from(scale) + i64::try_from(cut.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let (size, exact) = match kept {
        "" => (0, true),
        kept => shifted(kept.parse().ok()?, shift, cut.bytes().all(|digit| digit == b'0'))?,
    };
    Some(match (negative, exact) {
        (false, _) => (size, exact),
        (true, true) => (-size, true),
        (true, false) => (-size - 1, false),
    })
}

/// The whole part of `digits * 10^shift`, and whether that is all of it; `exact` tells whether `digits` is.
fn shifted(digits: i128, shift: i64, exact: bool) -> Option<(i128, bool)> {
    let power = u8::try_from(shift.unsigned_abs()).ok().and_then(power_of_ten);
    match power {
        Some(power) if shift >= 0 => digits.checked_mul(power).filter(|_| exact || shift == 0).map(|all| (all, exact)),
        Some(power) => Some((digits / power, exact && digits % power == 0)),
        None if shift >= 0 => None,
        None => Some((0, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2024-02-29", 19_782),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
            ("+10000-01-01", 2_932_897),
            ("-0001-01-01", -719_893),
        ] {
            assert_eq!(parse_date(text), Some(days), "{text}");
            assert_eq!(format_date(days).as_deref(), Some(text));
        }
        for bad in ["", "-", "2024", "2024-2-1", "2024-02-30", "24-01-01", "2024-01-01x", "2024/01/01", "é024-01-01"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
        assert_eq!(format_date(i32::MAX), None);
    }

    #[test]
    fn moments_in_all_their_forms() {
        let read = |text| parse_moment(text).map(|moment| (moment.micros, moment.offset));
        assert_eq!(read("1970-01-01T00:00:01.5Z"), Some((1_500_000, Some(0))));
        assert_eq!(read("1970-01-01 00:00:01.000001"), Some((1_000_001, None)));
        assert_eq!(read("1970-01-01T02:00:00.123456789+02:00"), Some((123_456, Some(7200))));
        assert_eq!(read("1969-12-31T16:00:00-0800"), Some((0, Some(-28800))));
        assert_eq!(read("1970-01-01T05:53:28+05:53:28"), Some((0, Some(21208))));
        assert_eq!(read("1970-01-02"), Some((MICROS_PER_DAY, None)));
        assert!(parse_moment("1970-01-02").unwrap().day_only);
        for bad in [
            "1970-01-01T",
            "1970-01-01T00:00",
            "1970-01-01T24:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890",
            "1970-01-01T00:00:00ZZ",
            "1970-01-01T00:00:00+2",
            "1970-01-01T00:00:00+é",
            "T",
            " ",
        ] {
            assert_eq!(parse_moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_are_cut_downwards() {
        assert_eq!(format_moment(-1, 'T', 3).as_deref(), Some("1969-12-31T23:59:59.999"));
        assert_eq!(format_moment(1_999, 'T', 3).as_deref(), Some("1970-01-01T00:00:00.001"));
        assert_eq!(format_moment(1_999, ' ', 0).as_deref(), Some("1970-01-01 00:00:00"));
        assert_eq!(format_moment(1_999, ' ', 6).as_deref(), Some("1970-01-01 00:00:00.001999"));
        assert_eq!(format_moment(i64::MAX, 'T', 6), None);
    }

    #[test]
    fn decimals_are_read_digit_by_digit() {
        assert_eq!(parse_decimal("1.50", 2), Some((150, true)));
        assert_eq!(parse_decimal("-1.505", 2), Some((-151, false)));
        assert_eq!(parse_decimal("1.505", 2), Some((150, false)));
        assert_eq!(parse_decimal("1.5E+3", 2), Some((150_000, true)));
        assert_eq!(parse_decimal("15e-1", 1), Some((15, true)));
        assert_eq!(parse_decimal("1e-400", 2), Some((0, false)));
        assert_eq!(parse_decimal("-1e-400", 2), Some((-1, false)));
        assert_eq!(parse_decimal("0e999999", 2), Some((0, true)));
        assert_eq!(parse_decimal("1e999999", 2), None);
        assert_eq!(parse_decimal("0.1000000000000000055511151231257827021181583404541015625", 2), Some((10, false)));
        let most = "99999999999999999999999999999999999999";
        assert_eq!(parse_decimal(most, 0), Some((10_i128.pow(38) - 1, true)));
        assert_eq!(parse_decimal(&format!("{most}.0"), 0), Some((10_i128.pow(38) - 1, true)));
        assert_eq!(parse_decimal(&format!("{most}1"), 0), None);
        for bad in ["", "-", ".", "e5", "1e", "1e99999999999", "0x1", "1.2.3", "--1", "NaN", "1_000"] {
            assert_eq!(parse_decimal(bad, 2), None, "{bad}");
        }
    }
}
