//! Secrets of an XML text: of elements and attributes whose names say so, and values beside such a name.

use std::ops::Range;

use roxmltree::{Document, Node};

use super::super::secrets::{is_harmless, is_secret};

/// Where they stand; nothing where the text is no XML.
pub(super) fn secrets(text: &str) -> Option<Vec<Range<usize>>> {
    let skipped = text.len() - text.trim_start_matches('\u{feff}').len();
    let document = Document::parse(text.get(skipped..)?).ok()?;
    let mut found = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        let named = node.attributes().any(|attribute| is_name(attribute.name()) && is_secret(attribute.value()));
        for attribute in node.attributes() {
            let hides = is_secret(attribute.name()) && !is_harmless(attribute.name(), attribute.value());
            if hides || (named && !is_name(attribute.name())) {
                found.push(attribute.range_value());
            }
        }
        let beside = node.tag_name().name();
        let is_value_of_secret = is_value(beside)
            && node.parent_element().is_some_and(|parent| {
                parent.children().any(|child| child.is_element() && is_name(child.tag_name().name()) && is_secret(child.text().unwrap_or_default().trim()))
            });
        if named || is_secret(beside) || is_value_of_secret {
            // A switch by itself; what lies in a list of secrets is one, whatever it looks like.
            let is_open = is_secret(beside) && !named && !is_value_of_secret && node.children().all(|child| child.is_text());
            let texts = node.descendants().filter(Node::is_text);
            found.extend(texts.filter(|text| !is_open || !is_harmless(beside, text.text().unwrap_or_default())).map(|text| text.range()));
        }
    }
    Some(found.into_iter().map(|range| range.start + skipped..range.end + skipped).collect())
}

/// Names of what names something.
pub(super) fn is_name(name: &str) -> bool {
    ["key", "name", "id", "setting", "option", "property"].contains(&name.to_ascii_lowercase().as_str())
}

/// Names of what is named.
pub(super) fn is_value(name: &str) -> bool {
    ["value", "val", "data", "content", "text"].contains(&name.to_ascii_lowercase().as_str())
}
