//! Calendar days as text, from a count of days since 1970-01-01.

use chrono::{NaiveDate, TimeDelta};

/// 2024-01-01.
pub(super) const FIRST_DAY: i64 = 19_723;
/// Days of 2024.
pub(super) const DAYS: u64 = 366;

/// `days` as `2024-01-31`.
pub(super) fn day(days: i64) -> String {
    let day = NaiveDate::default().checked_add_signed(TimeDelta::days(days)).unwrap_or_default();
    day.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let told = [0, FIRST_DAY, FIRST_DAY + 59, FIRST_DAY + 365].map(day);
        assert_eq!(told, ["1970-01-01", "2024-01-01", "2024-02-29", "2024-12-31"]);
    }
}
