//! Which settings of an XML file differ? Elements by their names, values before and after.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::addresses::without_secrets_in_addresses;
use super::mask::{is_known, is_name, is_value, lines_without_secrets};
use super::rows::UPGRADE_SETTINGS;
use super::secrets::{HIDDEN, is_harmless, is_plain, is_secret};

/// A setting that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The elements that lead to it, the root left out: `LogFileRetentionDays`,
    /// `TypeOptions/ImageFetchers/string`.
    pub name: String,
    /// Its value before; nothing where it was not there.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
    /// Whether an upgrade between the two explains it: it is new or gone with it, or one that
    /// upgrades were seen to write.
    pub by_upgrade: bool,
}

/// The settings in which two states of a file at `path` differ; nothing where one of them is no
/// XML. Values of secrets are hidden.
pub fn differing_settings(
    path: &str,
    before: &[u8],
    after: &[u8],
    (upgraded, shows_secrets): (bool, bool),
) -> Option<Vec<Setting>> {
    let is_unknown_file = !is_known(path);
    let (before, after) = (flatten(before)?, flatten(after)?);
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    Some(
        differing
            .map(|name| {
                let hide = |value: Option<&Value>| {
                    value.map(|Value { text: value, names_secret }| {
                        let own = name.rsplit('/').next().unwrap_or(name);
                        let says_so = name.split('/').any(is_secret) && !is_harmless(own, value);
                        let says_so = says_so || *names_secret;
                        let is_unknown = is_unknown_file && !is_plain(own, value);
                        let holds_one = lines_without_secrets("value", value).join("\n") != **value;
                        if shows_secrets {
                            return value.clone();
                        }
                        if !value.is_empty() && (says_so || is_unknown || holds_one) {
                            HIDDEN.to_owned()
                        } else {
                            without_secrets_in_addresses(value)
                        }
                    })
                };
                let (own, other) = (before.get(name), after.get(name));
                let known =
                    UPGRADE_SETTINGS.iter().any(|(file, setting)| path == *file && name == setting);
                Setting {
                    name: name.clone(),
                    before: hide(own),
                    after: hide(other),
                    by_upgrade: upgraded && (own.is_none() || other.is_none() || known),
                }
            })
            .collect(),
    )
}

/// A text of an element, and whether the element beside it says that it is secret.
#[derive(PartialEq)]
struct Value {
    text: String,
    names_secret: bool,
}

/// Names beside a value that are asked whether it is harmless; more of them hide it.
const NAMES_ASKED_MAX: usize = 16;

impl Value {
    /// `secrets` are the names beside it that say that it is secret.
    fn of(node: roxmltree::Node<'_, '_>, secrets: &[String]) -> Value {
        let text = node.text().unwrap_or_default().trim().to_owned();
        let names_secret = is_value(node.tag_name().name())
            && (secrets.len() > NAMES_ASKED_MAX
                || secrets.iter().any(|name| !is_harmless(name, &text)));
        Value { text, names_secret }
    }
}

/// Names among the elements of one that say that a value beside them is secret:
/// `<Key>password</Key><Value>…</Value>`.
fn secret_names(above: roxmltree::Node<'_, '_>) -> Rc<[String]> {
    let names = above
        .children()
        .filter(|other| is_name(other.tag_name().name()))
        .filter_map(|other| Some(other.text()?.trim().to_owned()));
    names.filter(|name| is_secret(name)).take(NAMES_ASKED_MAX + 1).collect()
}

fn below<'a, 'd>(node: roxmltree::Node<'a, 'd>) -> Vec<roxmltree::Node<'a, 'd>> {
    node.children().filter(roxmltree::Node::is_element).collect()
}

/// Texts by the elements that lead to them; several of one name are counted.
fn flatten(bytes: &[u8]) -> Option<BTreeMap<String, Value>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let document = crate::source::parse_xml(text.trim_start_matches('\u{feff}'))?;
    let (mut found, mut counts) = (BTreeMap::new(), HashMap::<Rc<str>, u64>::new());
    // Elements with the name of the one above, and the names there that say that a value is secret.
    let mut stack: Vec<(roxmltree::Node<'_, '_>, Rc<str>, Rc<[String]>)> = Vec::new();
    let root = document.root_element();
    let (none, names) = (Rc::<str>::from(""), secret_names(root));
    stack.extend(below(root).into_iter().rev().map(|node| (node, none.clone(), names.clone())));
    while let Some((node, above, names)) = stack.pop() {
        let own = node.tag_name().name();
        let name: Rc<str> =
            if above.is_empty() { own.into() } else { format!("{above}/{own}").into() };
        let children = below(node);
        if children.is_empty() {
            let number = counts.entry(name.clone()).or_default();
            *number += 1;
            let numbered = if *number == 1 { name.to_string() } else { format!("{name} {number}") };
            found.insert(numbered, Value::of(node, &names));
            continue;
        }
        let names = secret_names(node);
        stack.extend(children.into_iter().rev().map(|node| (node, name.clone(), names.clone())));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_by_name_and_secrets_are_not() {
        let before = b"<?xml version=\"1.0\"?><S><Days>5</Days><CertificatePassword>old</CertificatePassword><L><string>a</string><string>b</string></L><Gone>1</Gone></S>";
        let after = b"<S><Days>9</Days><CertificatePassword>new</CertificatePassword><L><string>a</string><string>c</string></L></S>";
        let found = differing_settings("config/system.xml", before, after, (true, false)).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|s| (s.name.as_str(), s.before.as_deref(), s.after.as_deref(), s.by_upgrade))
            .collect();
        assert_eq!(
            told,
            [
                ("CertificatePassword", Some("(secret)"), Some("(secret)"), false),
                ("Days", Some("5"), Some("9"), false),
                ("Gone", Some("1"), None, true),
                ("L/string 2", Some("b"), Some("c"), false),
            ]
        );
        assert_eq!(differing_settings("x", b"not xml", after, (false, false)), None);
    }

    #[test]
    fn many_elements_of_one_name_are_counted_in_one_pass() {
        let of = |last: &str| {
            let all: String = (0..100_000).map(|number| format!("<a>{number}</a>")).collect();
            format!("<S>{all}<a>{last}</a></S>")
        };
        let found =
            differing_settings("x.xml", of("1").as_bytes(), of("2").as_bytes(), (false, true));
        let told: Vec<_> = found.unwrap().into_iter().map(|s| (s.name, s.after)).collect();
        assert_eq!(told, [("a 100001".to_owned(), Some("2".to_owned()))]);
    }

    #[test]
    fn a_value_beside_a_name_that_says_so_is_hidden() {
        let of = |word: &str| {
            format!(
                "<D><O><Key>Pwd</Key><Value>{word}1</Value></O><O><Key>path</Key><Value>/{word}\
                 </Value></O><Header>Bearer {word}2345678</Header></D>"
            )
        };
        let (before, after) = (of("hunter"), of("fisher"));
        let found = differing_settings(
            "config/database.xml",
            before.as_bytes(),
            after.as_bytes(),
            (false, false),
        );
        let told: Vec<_> = found.unwrap().into_iter().map(|s| (s.name, s.after.unwrap())).collect();
        let told: Vec<_> =
            told.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            told,
            [("Header", "(secret)"), ("O/Value", "(secret)"), ("O/Value 2", "/fisher")]
        );
    }
}
