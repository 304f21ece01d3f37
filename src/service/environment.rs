//! Values of the configuration that the environment has instead of the file.

use std::collections::BTreeMap;

/// Sections, as they stand in the names of variables.
const SECTIONS: [&str; 13] = [
    "encryption",
    "server",
    "jellyfin",
    "snapshot",
    "copy",
    "retention",
    "check",
    "drill",
    "report",
    "notify",
    "hooks",
    "metrics",
    "web",
];

/// Puts the environment's values into a table; the names of those that were there.
pub(super) fn overlay(
    table: &mut toml::Table,
    environment: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut used = Vec::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix("JELLYVAULT_").map(str::to_lowercase) else { continue };
        let Some((section, key)) = rest
            .split_once('_')
            .filter(|(section, key)| SECTIONS.contains(section) && !key.is_empty())
        else {
            continue;
        };
        let of_section =
            table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(of_section) = of_section {
            of_section.insert(key.to_owned(), typed(value));
            used.push(name.clone());
        }
    }
    used
}

/// A value as it would stand in the file; what is none there is a text.
fn typed(value: &str) -> toml::Value {
    let is_text = value.trim().is_empty() || value.contains('\n');
    let parsed = if is_text {
        None
    } else {
        format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"))
    };
    parsed
        .filter(|value| !matches!(value, toml::Value::Datetime(_)))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()))
}
