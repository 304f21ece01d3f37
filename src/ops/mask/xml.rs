//! Secrets of an XML text: of elements and attributes whose names say so, and values beside such a name.

use std::ops::Range;

use roxmltree::{Document, Node};

use super::super::secrets::is_secret;

/// Where they stand; nothing where the text is no XML.
pub(super) fn secrets(text: &str) -> Option<Vec<Range<usize>>> {
    let skipped = text.len() - text.trim_start_matches('\u{feff}').len();
    let document = Document::parse(text.get(skipped..)?).ok()?;
    let mut found = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        let named = node.attributes().any(|attribute| is_name(attribute.name()) && is_secret(attribute.value()));
        for attribute in node.attributes() {
            if is_secret(attribute.name()) || (named && !is_name(attribute.name())) {
                found.push(attribute.range_value());
            }
        }
        let beside = node.tag_name().name();
        let is_value_of_secret = is_value(beside)
            && node.parent_element().is_some_and(|parent| {
                parent.children().any(|child| child.is_element() && is_name(child.tag_name().name()) && is_secret(child.text().unwrap_or_default().trim()))
            });
        if named || is_secret(beside) || is_value_of_secret {
            found.extend(node.descendants().filter(Node::is_text).map(|text| text.range()));
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
