//! Secrets of an XML text: of elements and attributes whose names say so, and values beside such a
//! name.

use std::collections::HashMap;
use std::ops::Range;

use roxmltree::{Node, NodeId};

use super::super::secrets::{is_harmless, is_plain, is_secret};
use super::holds_secret;

/// Where they stand; nothing where the text is no XML.
pub(super) fn secrets(text: &str, is_strict: bool) -> Option<Vec<Range<usize>>> {
    let skipped = text.len() - text.trim_start_matches('\u{feff}').len();
    let document = crate::source::parse_xml(text.get(skipped..)?)?;
    let head = text.get(skipped..skipped + document.root_element().range().start)?;
    let mut found = Vec::from_iter(declarations(head, is_strict));
    // Whether a name among the elements of one says that a value beside it is secret.
    let mut says_so: HashMap<NodeId, bool> = HashMap::new();
    for node in document.descendants().filter(Node::is_element) {
        let named = node
            .attributes()
            .any(|attribute| is_name(attribute.name()) && is_secret(attribute.value()));
        for attribute in node.attributes() {
            let hides =
                is_secret(attribute.name()) && !is_harmless(attribute.name(), attribute.value());
            let is_unknown = is_strict
                && !is_declaration(attribute.name())
                && !is_plain(attribute.name(), attribute.value());
            if hides
                || is_unknown
                || holds_secret(attribute.value())
                || (named && !is_name(attribute.name()))
            {
                found.push(attribute.range_value());
            }
        }
        let beside = node.tag_name().name();
        let is_value_of_secret = is_value(beside)
            && node.parent_element().is_some_and(|parent| {
                *says_so.entry(parent.id()).or_insert_with(|| names_a_secret(parent))
            });
        if named || is_secret(beside) || is_value_of_secret {
            // A switch by itself; what lies in a list of secrets is one, whatever it looks like.
            let is_open = is_secret(beside)
                && !named
                && !is_value_of_secret
                && node.children().all(|child| child.is_text());
            let texts = node.descendants().filter(Node::is_text);
            found.extend(
                texts
                    .filter(|text| {
                        !is_open || !is_harmless(beside, text.text().unwrap_or_default())
                    })
                    .map(|text| text.range()),
            );
        }
    }
    for node in document.descendants() {
        let text = node.text().unwrap_or_default();
        let name = node.parent_element().map_or("", |parent| parent.tag_name().name());
        if let Some(own) = node.pi().and_then(|pi| pi.value) {
            if is_strict || holds_secret(own) {
                let range = node.range();
                let start = range.end.saturating_sub(own.len() + 2).max(range.start);
                found.push(start..range.end.saturating_sub(2).max(start));
            }
            continue;
        }
        let hides = (node.is_text()
            && ((is_strict && !is_plain(name, text)) || holds_secret(text)))
            || (node.is_comment() && (is_strict || holds_secret(text)));
        if hides && !text.trim().is_empty() {
            found.push(inner(node, text.len()));
        }
    }
    Some(found.into_iter().map(|range| range.start + skipped..range.end + skipped).collect())
}

fn names_a_secret(parent: Node<'_, '_>) -> bool {
    parent.children().any(|child| {
        child.is_element()
            && is_name(child.tag_name().name())
            && is_secret(child.text().unwrap_or_default().trim())
    })
}

/// What a document type declares, in what stands before the first element: entities may hold
/// anything, brackets too, so all that follows is meant.
fn declarations(head: &str, is_strict: bool) -> Option<Range<usize>> {
    let (_, declared) = head.split_once("<!DOCTYPE")?;
    let start = head.len() - declared.len();
    (is_strict || holds_secret(declared)).then_some(start..head.len())
}

/// Where the words of a node are: a comment's without its brackets.
fn inner(node: Node<'_, '_>, len: usize) -> Range<usize> {
    let range = node.range();
    if node.is_comment() { range.start + 4..(range.start + 4 + len).min(range.end) } else { range }
}

/// Attributes that say how the file itself is to be read.
fn is_declaration(name: &str) -> bool {
    ["nil", "type", "schemaLocation", "space", "lang"].contains(&name)
}

/// Names of what names something.
pub(in crate::ops) fn is_name(name: &str) -> bool {
    ["key", "name", "id", "setting", "option", "property"]
        .contains(&name.to_ascii_lowercase().as_str())
}

/// Names of what is named.
pub(in crate::ops) fn is_value(name: &str) -> bool {
    ["value", "val", "data", "content", "text"].contains(&name.to_ascii_lowercase().as_str())
}
