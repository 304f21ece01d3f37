//! Settings, libraries, playlists and collections: the files beside the database that contain
//! paths.

use super::mapping::Mapping;
use super::xml_text::replace_texts;

/// What kind of file a logical path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// The path of a library's directory, alone.
    Link,
    /// A library's options.
    Library,
    /// A playlist or a collection.
    List,
    /// Settings of the server.
    Settings,
    /// The server's network settings: only one of them is a path.
    Network,
    /// Settings of the server that are JSON.
    Json,
    /// Settings of a plugin.
    Plugin,
    /// Another file of a plugin that may hold paths: it is only looked at.
    OtherOfPlugin,
}

fn is_of(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Texts of settings that people wrote, or that only look like a path.
const WORDS: [&str; 6] = [
    "BaseUrl",
    "CustomCss",
    "LoginDisclaimer",
    "ServerName",
    "MetadataCountryCode",
    "PreferredMetadataLanguage",
];

/// What some programs write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// No such file is larger, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: u64 = crate::limits::XML_BYTES_MAX;

impl Document {
    /// What a logical path is; nothing where it is none of these files.
    pub(super) fn of(path: &[u8]) -> Option<Document> {
        let path = std::str::from_utf8(path).ok()?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["root", "default", _, name] if is_of(name, &["mblink"]) => Some(Document::Link),
            ["root", "default", _, "options.xml"] => Some(Document::Library),
            ["data", "playlists", _, "playlist.xml"]
            | ["data", "collections", _, "collection.xml"] => Some(Document::List),
            ["config", "network.xml"] => Some(Document::Network),
            ["config", name] if name.ends_with(".xml") => Some(Document::Settings),
            ["config", name] | ["data", "livetv", name] if is_of(name, &["json"]) => {
                Some(Document::Json)
            }
            ["plugins", "configurations", .., name] if is_of(name, &["xml", "json"]) => {
                Some(Document::Plugin)
            }
            ["plugins", .., name]
                if is_of(
                    name,
                    &["xml", "json", "txt", "ini", "conf", "cfg", "yml", "yaml", "toml"],
                ) =>
            {
                Some(Document::OtherOfPlugin)
            }
            _ => None,
        }
    }

    /// The file with its paths and ids replaced; nothing where it stays.
    ///
    /// # Errors
    /// Why it could not be read.
    pub(super) fn rewrite(
        self,
        bytes: &[u8],
        mapping: &Mapping,
    ) -> Result<Option<Vec<u8>>, String> {
        let xml =
            |is_wanted: &dyn Fn(&str) -> bool| {
                let replaced = replace_texts(bytes, |element, text| {
                    if is_wanted(element) { value(mapping, text) } else { None }
                });
                replaced.map_err(|error| error.to_string())
            };
        match self {
            Document::Link => {
                let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
                Ok(value(mapping, text).map(String::into_bytes))
            }
            Document::Library => xml(&|element| matches!(element, "Path" | "NetworkPath")),
            Document::List => xml(&|element| matches!(element, "Path" | "ItemId")),
            Document::Network => xml(&|element| element == "CertificatePath"),
            Document::Settings => xml(&|element| !WORDS.contains(&element)),
            Document::Plugin if is_xml(bytes) => xml(&|_| true),
            Document::Plugin | Document::Json => {
                let (mark, body) =
                    bytes.strip_prefix(MARK).map_or((&[][..], bytes), |body| (MARK, body));
                let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
                let replaced = super::json::replace_strings(text, |text| mapping.value(text));
                let new = replaced.map_err(|_| "it could not be read as JSON".to_owned())?;
                Ok(new.map(|new| [mark, new.as_bytes()].concat()))
            }
            Document::OtherOfPlugin => Ok(None),
        }
    }

    /// Whether it is a file of a plugin's.
    pub(super) fn is_plugins(self) -> bool {
        matches!(self, Document::Plugin | Document::OtherOfPlugin)
    }
}

fn is_xml(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf))
        == Some(&b'<')
}

/// A value without the blanks around it, which stay.
fn value(mapping: &Mapping, text: &str) -> Option<String> {
    // A directory's name may end in a blank.
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if let Some(new) = mapping.value(line) {
        return Some(format!("{new}{}", text.get(line.len()..)?));
    }
    let bare = text.trim_start_matches('\u{feff}').trim();
    let begin = text.find(bare)?;
    let new = mapping.value(bare)?;
    Some(format!("{}{new}{}", text.get(..begin)?, text.get(begin + bare.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::super::prefixes::Prefixes;
    use super::*;

    fn rewritten(path: &str, bytes: &str) -> Option<String> {
        let prefixes = Prefixes::new([("/media".to_owned(), "/mnt/a & b".to_owned())]);
        let mapping = Mapping { prefixes, ..Mapping::default() };
        let new =
            Document::of(path.as_bytes()).unwrap().rewrite(bytes.as_bytes(), &mapping).unwrap();
        new.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn blank() -> Mapping {
        let pairs = [("/media", "/other"), ("/media ", "/mnt ")];
        let pairs = pairs.map(|(old, new)| (old.to_owned(), new.to_owned()));
        Mapping { prefixes: Prefixes::new(pairs), ..Mapping::default() }
    }

    #[test]
    fn paths_are_replaced_where_each_kind_of_file_has_them() {
        for name in ["movies.mblink", "movies.MBLINK"] {
            assert_eq!(
                rewritten(&format!("root/default/Films/{name}"), "/media/movies\n").as_deref(),
                Some("/mnt/a & b/movies\n")
            );
        }
        assert_eq!(
            Document::Link.rewrite(b"/media ", &blank()).unwrap(),
            Some(b"/mnt ".to_vec()),
            "a name that ends in a blank is another one"
        );
        let list = "<Item><LocalTitle>/media</LocalTitle><Path>/media/x</Path></Item>";
        let moved = "<Item><LocalTitle>/media</LocalTitle><Path>/mnt/a &amp; b/x</Path></Item>";
        assert_eq!(rewritten("data/playlists/p/playlist.xml", list).as_deref(), Some(moved));
        assert_eq!(rewritten("root/default/Films/options.xml", "<O><Tag>/media</Tag></O>"), None);
        assert_eq!(rewritten("config/network.xml", "<N><BaseUrl>/media</BaseUrl></N>"), None);
        let settings = "<S><BaseUrl>/media</BaseUrl><Name>/media/x</Name></S>";
        assert_eq!(
            rewritten("config/system.xml", settings).as_deref(),
            Some("<S><BaseUrl>/media</BaseUrl><Name>/mnt/a &amp; b/x</Name></S>")
        );
        assert_eq!(
            rewritten("plugins/configurations/x.json", "{\"p\":\"/media/x\"}").as_deref(),
            Some("{\"p\":\"/mnt/a \\u0026 b/x\"}")
        );
        assert_eq!(Document::of(b"config/users/system.xml"), None);
    }
}
