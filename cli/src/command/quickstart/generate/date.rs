//! Calendar days as text, from a count of days since 1970-01-01.

/// 2024-01-01.
pub(super) const FIRST_DAY: i64 = 19_723;
/// Days of 2024.
pub(super) const DAYS: u64 = 366;

/// `days` as `2024-01-31`.
pub(super) fn day(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of the proleptic Gregorian calendar, with years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Days, NaiveDate};

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!((day(0), day(FIRST_DAY)), ("1970-01-01".to_owned(), "2024-01-01".to_owned()));
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        for days in 0..30_000u64 {
            let expected = epoch.checked_add_days(Days::new(days)).expect("in range");
            assert_eq!(day(i64::try_from(days).expect("small")), expected.format("%Y-%m-%d").to_string());
        }
    }
}
