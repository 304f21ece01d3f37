//! The few values of Jellyfin's configuration files that say where things are.

use roxmltree::{Document, Node, ParsingOptions};

use crate::limits::XML_BYTES_MAX;

/// Elements within each other, attributes of one, and nodes of one file, at most.
const DEPTH_MAX: i64 = 200;
const ATTRIBUTES_MAX: usize = 500;
const NODES_MAX: u32 = 500_000;

/// What `system.xml` and `network.xml` and `encoding.xml` tell; an element that is empty counts as
/// missing.
pub fn element(xml: &[u8], name: &str) -> Option<String> {
    let text = decode(xml)?;
    let document = parse(text)?;
    let value =
        document.root_element().children().find(|node| node.has_tag_name(name))?.text()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether a file is XML that can be read; an empty one says nothing.
pub fn is_sound(xml: &[u8]) -> bool {
    xml.is_empty()
        || decode(xml).is_some_and(|text| text.trim().is_empty() || parse(text).is_some())
}

/// What `database.xml` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseXml {
    /// Another place of the database (12.0 and later).
    pub path: Option<String>,
    /// The plugin that keeps the database, where it is not SQLite.
    pub plugin: Option<String>,
}

/// Reads `database.xml`.
pub fn database(xml: &[u8]) -> Option<DatabaseXml> {
    let text = decode(xml)?;
    let document = parse(text)?;
    let root = document.root_element();
    let child = |node: Node<'_, '_>, name: &str| {
        node.children()
            .find(|n| n.has_tag_name(name))
            .and_then(|n| n.text())
            .map(|t| t.trim().to_owned())
    };
    let mut found = DatabaseXml::default();
    let custom = root.children().find(|node| node.has_tag_name("CustomProviderOptions"));
    if child(root, "DatabaseType").is_some_and(|kind| kind.eq_ignore_ascii_case("PLUGIN_PROVIDER"))
    {
        found.plugin = Some(
            custom
                .and_then(|custom| child(custom, "PluginName"))
                .unwrap_or_else(|| "an unnamed plugin".to_owned()),
        );
    }
    let options = custom.into_iter().flat_map(|custom| custom.descendants());
    found.path = options
        .filter(|node| child(*node, "Key").is_some_and(|key| key.eq_ignore_ascii_case("path")))
        .find_map(|node| child(node, "Value"))
        .filter(|path| !path.is_empty());
    Some(found)
}

fn decode(xml: &[u8]) -> Option<&str> {
    std::str::from_utf8(xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml)).ok()
}

/// Parses a text that is no larger, no deeper and no wider than any of a server's: a parser's time
/// grows with the square of some of these.
pub fn parse(text: &str) -> Option<Document<'_>> {
    if text.len() as u64 > XML_BYTES_MAX || !is_modest(text.as_bytes()) {
        return None;
    }
    Document::parse_with_options(
        text,
        ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() },
    )
    .ok()
}

/// Whether no element lies deeper and none has more attributes than in any file of a server's, as
/// far as brackets and quotes tell.
fn is_modest(text: &[u8]) -> bool {
    let (mut depth, mut attributes, mut in_tag, mut closes, mut last) =
        (0i64, 0usize, false, false, b' ');
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'<' => {
                closes = text.get(at + 1) == Some(&b'/');
                in_tag = !matches!(text.get(at + 1), Some(b'!' | b'?'));
                attributes = 0;
            }
            b'>' if in_tag => {
                depth += if closes { -1 } else { i64::from(last != b'/') };
                in_tag = false;
            }
            b'=' if in_tag => attributes += 1,
            _ => {}
        }
        if depth > DEPTH_MAX || attributes > ATTRIBUTES_MAX {
            return false;
        }
        last = *byte;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_and_byte_order_marks_are_understood() {
        let xml = |body: &str| {
            format!(
                "\u{feff}<?xml version=\"1.0\"?>\n<ServerConfiguration>{body}</ServerConfiguration>"
            )
        };
        assert_eq!(element(xml("<MetadataPath />").as_bytes(), "MetadataPath"), None);
        assert_eq!(
            element(xml("<MetadataPath>/mnt/a &amp; b</MetadataPath>").as_bytes(), "MetadataPath"),
            Some("/mnt/a & b".to_owned())
        );
        assert_eq!(element(b"no xml", "MetadataPath"), None);
    }

    #[test]
    fn what_is_deeper_or_wider_than_any_of_a_servers_is_no_xml_to_us() {
        let nested =
            |depth: usize| format!("<S>{}{}</S>", "<a>".repeat(depth), "</a>".repeat(depth));
        let wide = |count: usize| {
            format!(
                "<S {}/>",
                (0..count).map(|n| format!("a{n}=\"1\"")).collect::<Vec<_>>().join(" ")
            )
        };
        assert!(parse(&nested(100)).is_some() && parse(&wide(100)).is_some());
        assert!(parse(&nested(100_000)).is_none() && parse(&wide(1_000_000)).is_none());
        assert!(
            parse(&format!("<S>{}</S>", "<a/>".repeat(100_000))).is_some(),
            "many, one beside another"
        );
        assert!(parse("<!DOCTYPE S [<!ENTITY a \"x\">]><S>&a;</S>").is_none());
    }

    #[test]
    fn a_plugin_provider_and_another_path_are_found() {
        let xml = b"<DatabaseConfigurationOptions><DatabaseType>PLUGIN_PROVIDER</DatabaseType><CustomProviderOptions><PluginName>PostgreSQL</PluginName>\
            <Options><CustomDatabaseOption><Key>path</Key><Value>/fast/jellyfin.db</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>";
        assert_eq!(
            database(xml),
            Some(DatabaseXml {
                path: Some("/fast/jellyfin.db".into()),
                plugin: Some("PostgreSQL".into())
            })
        );
    }
}
