//! Whose doing is a change across an upgrade: the migration's or people's? Told by the columns, as
//! far as they tell.

use crate::database::{RowChange, Sides, Value};

use super::view::{PLACEHOLDER, id_of};

/// Columns that migrations write anew from others (seen on real servers, 10.11.6 → 10.11.11 → 12.0;
/// `reference/jellyfin.md` 3.4). Nobody sets them by hand: across an upgrade they are its work.
const REWRITTEN: [(&str, &str); 12] = [
    ("BaseItems", "CleanName"),
    ("BaseItems", "PresentationUniqueKey"),
    ("BaseItems", "SeriesPresentationUniqueKey"),
    ("BaseItems", "OwnerId"),
    ("BaseItems", "PrimaryVersionId"),
    ("BaseItems", "InheritedParentalRatingValue"),
    ("BaseItems", "InheritedParentalRatingSubValue"),
    ("BaseItems", "UnratedType"),
    ("ItemValues", "CleanValue"),
    ("Users", "NormalizedUsername"),
    ("Users", "InternalId"),
    ("BaseItems", "TopParentId"),
];

/// Settings that an upgrade was seen to write: in the file, by its element's name.
pub const SETTINGS: [(&str, &str); 2] =
    [("config/system.xml", "EnableLegacyAuthorization"), ("config/encoding.xml", "EncoderPreset")];

/// Columns that count how often a row was written: nobody's doing.
pub const COUNTERS: [&str; 1] = ["RowVersion"];

/// Whether a changed column is the upgrade's work.
pub fn is_upgrades(sides: Sides<'_>, change: &RowChange, (before, after): (usize, usize)) -> bool {
    let (Some(own), Some(other), Some(gone), Some(came)) =
        (sides.before, sides.after, &change.before, &change.after)
    else {
        return false;
    };
    let Some(column) = other.columns.get(after) else { return false };
    if REWRITTEN.iter().any(|(table, name)| other.name == *table && column.name == *name)
        || other.name == "__EFMigrationsHistory"
    {
        return true;
    }
    let placeholder = |row: &crate::database::Row| {
        own.column("Id").and_then(|at| id_of(row.values.get(at)?)) == Some(PLACEHOLDER)
    };
    if other.name == "BaseItems" && placeholder(gone) {
        return true;
    }
    match (gone.values.get(before), came.values.get(after)) {
        (Some(own), Some(other)) => means_the_same(own, other),
        _ => false,
    }
}

/// Two ways to write one thing: ids with dashes and without, no id and an id of zeros, nothing and
/// an empty text.
fn means_the_same(own: &Value, other: &Value) -> bool {
    let nothing = |value: &Value| {
        matches!(value, Value::Null)
            || id_of(value) == Some(0)
            || matches!(value, Value::Text(text) if text.is_empty())
    };
    match (id_of(own), id_of(other)) {
        (Some(own), Some(other)) => own == other,
        _ => nothing(own) && nothing(other),
    }
}

/// Whether all that differs in a row is the upgrade's work; rows of tables that are new or gone
/// are.
pub fn is_all_upgrades(sides: Sides<'_>, change: &RowChange) -> bool {
    match (sides.before, sides.after) {
        (Some(_), Some(other)) => {
            let is_history = other.name == "__EFMigrationsHistory";
            let counts = |after: usize| {
                other
                    .columns
                    .get(after)
                    .is_some_and(|column| COUNTERS.contains(&column.name.as_str()))
            };
            is_history
                || (!change.changed.is_empty()
                    && change
                        .changed
                        .iter()
                        .all(|pair| counts(pair.1) || is_upgrades(sides, change, *pair)))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_written_in_another_way_and_nothing_in_another_way_mean_the_same() {
        let text = |text: &str| Value::Text(text.into());
        assert!(means_the_same(&text("00000000-0000-0000-0000-000000000000"), &Value::Null));
        assert!(means_the_same(
            &text("0f0e0d0c0b0a09080706050403020100"),
            &text("0F0E0D0C-0B0A-0908-0706-050403020100")
        ));
        assert!(means_the_same(&text(""), &Value::Null));
        assert!(!means_the_same(&text("0f0e0d0c0b0a09080706050403020100"), &Value::Null));
        assert!(!means_the_same(&text("a"), &text("b")));
        assert!(!means_the_same(&Value::Integer(0), &Value::Null));
    }
}
