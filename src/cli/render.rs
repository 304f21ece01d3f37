//! Numbers, times and tables for people.

use jiff::tz::TimeZone;

pub use crate::figures::{argument, count, moment, plural, seconds, short, size};

/// A moment in the user's zone, to the second.
pub fn time(time_ns: i64, zone: &TimeZone) -> String {
    moment(time_ns).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A table whose columns line up; numbers (columns named in `right`) to the right.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            rows.iter()
                .filter_map(|row| row.get(c))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let sep = if column == 0 { "" } else { "  " };
            line.push_str(&if right.contains(&column) {
                format!("{sep}{pad}{cell}")
            } else {
                format!("{sep}{cell}{pad}")
            });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
