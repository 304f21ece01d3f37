//! Is a database that of a whole version, or was its server in the middle of an upgrade? The
//! migrations that it records tell.
//!
//! A server that starts in a newer version changes the schema step by step, and between the steps
//! moves data by code, for hours where the library is large. Until the last step the database is no
//! version's.

use std::collections::BTreeSet;

use super::schema::Schema;

/// Where a database stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no history, or one of which nothing can be said.
    Unknown,
    /// Before 10.11: the library is in `library.db`.
    Legacy,
    /// All steps of a version are done.
    Whole,
    /// Some steps of this version, or of a later one, are done and others are not.
    Between {
        /// The version that must go on with it, such as `10.11.11`.
        to: String,
        /// The library is in `library.db` still, and no tables have it.
        is_library_pending: bool,
    },
    /// It has steps that came after all that are known here.
    Newer,
}

/// The step with which the library comes into the server's one database.
const ONE_DATABASE: &str = "20241020103111_LibraryDbMigration";
/// The steps that read `library.db`, by their last.
const LIBRARY_READ: [&str; 3] = [
    "20250420200000_MigrateLibraryDb",
    "20250421000000_MigrateKeyframeData",
    "20250618010000_MigrateLibraryUserData",
];

impl Standing {
    /// Of a history: pairs of a migration's id and the version that wrote it.
    pub fn of(history: &[(String, String)]) -> Standing {
        // A server's own version has four parts (10.11.6.0), EF Core's three (9.0.11).
        let is_code = |version: &str| version.split('.').count() == 4;
        let ids = |code: bool| {
            history
                .iter()
                .filter(move |(_, version)| is_code(version) == code)
                .map(|(id, _)| id.as_str())
                .collect::<BTreeSet<_>>()
        };
        let (steps, code) = (ids(false), ids(true));
        let known = |id: &&str| {
            Schema::all().iter().any(|schema| {
                schema
                    .migrations
                    .iter()
                    .chain(&schema.code)
                    .chain(&schema.code_optional)
                    .any(|k| k == *id)
            })
        };
        if steps.is_empty() {
            return Standing::Unknown;
        }
        if !steps.iter().chain(&code).all(known) {
            return Standing::Newer;
        }
        if code.is_empty() {
            // Only rows of code migrations name the server's version, and every real 10.11 has
            // some.
            return if steps.contains(ONE_DATABASE) { Standing::Unknown } else { Standing::Legacy };
        }
        let is_whole = |schema: &Schema| {
            steps.len() == schema.migrations.len()
                && schema.migrations.iter().all(|id| steps.contains(id.as_str()))
                && schema.code.iter().all(|id| code.contains(id.as_str()))
                && code.iter().all(|id| {
                    schema.code.iter().chain(&schema.code_optional).any(|known| known == id)
                })
        };
        if Schema::all().iter().any(is_whole) {
            return Standing::Whole;
        }
        Standing::Between {
            to: goal(history, &steps, &code),
            is_library_pending: LIBRARY_READ.iter().any(|id| !code.contains(id)),
        }
    }
}

/// The version that an upgrade leads to, as far as its steps tell: the newest that wrote one, or
/// the first that has the newest step; empty where they tell nothing.
fn goal(history: &[(String, String)], steps: &BTreeSet<&str>, code: &BTreeSet<&str>) -> String {
    let written = history
        .iter()
        .map(|(_, version)| version.as_str())
        .filter(|version| version.split('.').count() == 4)
        .max_by_key(|version| parse(version));
    let first_with = |schema: &&Schema| {
        steps.iter().all(|id| schema.migrations.iter().any(|known| known == id))
            && code
                .iter()
                .all(|id| schema.code.iter().chain(&schema.code_optional).any(|known| known == id))
    };
    let needed = Schema::all().iter().find(first_with).map(|schema| schema.first.as_str());
    // Nothing tells of a goal: it is empty, and the message says that it is unknown.
    let goal =
        written.into_iter().chain(needed).max_by_key(|version| parse(version)).unwrap_or_default();
    goal.strip_suffix(".0").filter(|rest| rest.split('.').count() == 3).unwrap_or(goal).to_owned()
}

fn parse(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(schema: &Schema, version: &str) -> Vec<(String, String)> {
        let steps = schema.migrations.iter().map(|id| (id.clone(), "9.0.11".to_owned()));
        steps.chain(schema.code.iter().map(|id| (id.clone(), version.to_owned()))).collect()
    }

    #[test]
    fn only_all_steps_of_a_version_make_it_whole() {
        for schema in Schema::all() {
            let whole = history(schema, "10.11.6.0");
            assert_eq!(Standing::of(&whole), Standing::Whole, "{}", schema.name);
            for gone in 0..whole.len() {
                let mut part = whole.clone();
                let (id, _) = part.remove(gone);

                assert!(
                    matches!(Standing::of(&part), Standing::Between { .. }),
                    "{} without {id}",
                    schema.name
                );
            }
        }
        assert_eq!(Standing::of(&[]), Standing::Unknown);
    }

    #[test]
    fn an_upgrade_is_told_with_its_goal() {
        let [old, ..] = Schema::all() else { panic!() };
        let newest = Schema::all().last().unwrap();
        let mut begun = history(old, "10.11.6.0");
        begun.push((
            newest.migrations.iter().find(|id| !old.migrations.contains(id)).unwrap().clone(),
            "9.0.11".to_owned(),
        ));
        let Standing::Between { to, is_library_pending } = Standing::of(&begun) else { panic!() };
        assert!(!is_library_pending && to.starts_with("1"), "{to}");
        begun.push(("20260531160000_DisableLegacyAuthorization".to_owned(), "12.0.0.0".to_owned()));
        assert!(matches!(Standing::of(&begun), Standing::Between { to, .. } if to == "12.0.0"));
        begun.push(("20990101000000_Later".to_owned(), "13.0.0.0".to_owned()));
        assert_eq!(Standing::of(&begun), Standing::Newer);
    }

    #[test]
    fn before_10_11_the_library_is_elsewhere() {
        let of_10_10: Vec<_> = Schema::all()[0]
            .migrations
            .iter()
            .take(15)
            .map(|id| (id.clone(), "8.0.10".to_owned()))
            .collect();
        assert_eq!(Standing::of(&of_10_10), Standing::Legacy);
        let mut begun = of_10_10;
        begun.push((
            "20250420000000_CreateNetworkConfiguration".to_owned(),
            "10.11.11.0".to_owned(),
        ));
        assert_eq!(
            Standing::of(&begun),
            Standing::Between { to: "10.11.11".to_owned(), is_library_pending: true }
        );
    }
}
