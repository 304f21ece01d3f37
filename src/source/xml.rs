//! The few values of Jellyfin's configuration files that say where things are.

use roxmltree::{Document, Node};

/// What `system.xml` and `network.xml` and `encoding.xml` tell; an element that is empty counts as missing.
pub fn element(xml: &[u8], name: &str) -> Option<String> {
    let text = decode(xml)?;
    let document = Document::parse(&text).ok()?;
    let value = document.root_element().children().find(|node| node.has_tag_name(name))?.text()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
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
    let document = Document::parse(&text).ok()?;
    let root = document.root_element();
    let child = |node: Node<'_, '_>, name: &str| node.children().find(|n| n.has_tag_name(name)).and_then(|n| n.text()).map(|t| t.trim().to_owned());
    let mut found = DatabaseXml::default();
    let custom = root.children().find(|node| node.has_tag_name("CustomProviderOptions"));
    if child(root, "DatabaseType").is_some_and(|kind| kind.eq_ignore_ascii_case("PLUGIN_PROVIDER")) {
        found.plugin = Some(custom.and_then(|custom| child(custom, "PluginName")).unwrap_or_else(|| "an unnamed plugin".to_owned()));
    }
    let options = custom.into_iter().flat_map(|custom| custom.descendants());
    found.path = options
        .filter(|node| child(*node, "Key").is_some_and(|key| key.eq_ignore_ascii_case("path")))
        .find_map(|node| child(node, "Value"))
        .filter(|path| !path.is_empty());
    Some(found)
}

fn decode(xml: &[u8]) -> Option<String> {
    std::str::from_utf8(xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml)).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_and_byte_order_marks_are_understood() {
        let xml = |body: &str| format!("\u{feff}<?xml version=\"1.0\"?>\n<ServerConfiguration>{body}</ServerConfiguration>");
        assert_eq!(element(xml("<MetadataPath />").as_bytes(), "MetadataPath"), None);
        assert_eq!(element(xml("<MetadataPath>/mnt/a &amp; b</MetadataPath>").as_bytes(), "MetadataPath"), Some("/mnt/a & b".to_owned()));
        assert_eq!(element(b"no xml", "MetadataPath"), None);
    }

    #[test]
    fn a_plugin_provider_and_another_path_are_found() {
        let xml = b"<DatabaseConfigurationOptions><DatabaseType>PLUGIN_PROVIDER</DatabaseType><CustomProviderOptions><PluginName>PostgreSQL</PluginName>\
            <Options><CustomDatabaseOption><Key>path</Key><Value>/fast/jellyfin.db</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>";
        assert_eq!(database(xml), Some(DatabaseXml { path: Some("/fast/jellyfin.db".into()), plugin: Some("PostgreSQL".into()) }));
    }
}
