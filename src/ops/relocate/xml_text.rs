//! The texts of an XML file's elements, replaced one by one; all else stays byte for byte.

use crate::source::parse_xml;

/// It is no XML, or none that any server writes.
#[derive(Debug, thiserror::Error)]
#[error("it could not be read as XML")]
pub(super) struct NoXml;

/// The file with new texts in place of those for which `replace` has one, given the element's name
/// and its text. Nothing where all stay.
pub(super) fn replace_texts(
    xml: &[u8],
    mut replace: impl FnMut(&str, &str) -> Option<String>,
) -> Result<Option<Vec<u8>>, NoXml> {
    let mark: &[u8] = b"\xef\xbb\xbf";
    let (mark, body) = xml.strip_prefix(mark).map_or((&[][..], xml), |body| (mark, body));
    let text = std::str::from_utf8(body).map_err(|_| NoXml)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let document = parse_xml(text).ok_or(NoXml)?;
    let (mut out, mut copied) = (mark.to_vec(), 0);
    for node in document.descendants().filter(|node| node.is_text()) {
        let (Some(value), Some(element)) = (node.text(), node.parent_element()) else { continue };
        let Some(new) = replace(element.tag_name().name(), value) else { continue };
        // What is written as several pieces is one text, and its range is that of the first piece.
        let end = match node.next_sibling() {
            Some(next) => next.range().start,
            None => {
                text.get(..element.range().end).and_then(|whole| whole.rfind("</")).ok_or(NoXml)?
            }
        };
        let range = node.range().start..end;
        out.extend_from_slice(body.get(copied..range.start).unwrap_or_default());
        push_escaped(&mut out, &new);
        copied = range.end;
    }
    if copied == 0 {
        return Ok(None);
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    Ok(Some(out))
}

/// The file with a text in an element that is directly below its root; nothing where there is no
/// such element.
pub(super) fn set_text(xml: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let mark: &[u8] = b"\xef\xbb\xbf";
    let (mark, body) = xml.strip_prefix(mark).map_or((&[][..], xml), |body| (mark, body));
    let document = parse_xml(std::str::from_utf8(body).ok()?)?;
    let range = document.root_element().children().find(|node| node.has_tag_name(name))?.range();
    let mut out = [mark, body.get(..range.start)?, b"<", name.as_bytes(), b">"].concat();
    push_escaped(&mut out, value);
    out.extend([b"</", name.as_bytes(), b">", body.get(range.end..)?].concat());
    Some(out)
}

/// As .NET's writer escapes the text of an element.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.extend(b"&amp;"),
            '<' => out.extend(b"&lt;"),
            '>' => out.extend(b"&gt;"),
            _ => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_replaced_and_all_else_stays() {
        let replace = |name: &str, text: &str| {
            (name == "Path")
                .then(|| text.strip_prefix("/a&b").map(|rest| format!("/<c>{rest}")))
                .flatten()
        };
        let xml = "\u{feff}<?xml version=\"1.0\"?>\r\n<S x=\"/a\"><!-- /a&b --><Path>/a&amp;b/Ä</Path><Name>/a&amp;b</Name><Path><![CDATA[/a&b/x]]></Path><Path /></S>\n";
        let new = replace_texts(xml.as_bytes(), replace).unwrap().unwrap();
        let wanted = "\u{feff}<?xml version=\"1.0\"?>\r\n<S x=\"/a\"><!-- /a&b --><Path>/&lt;c&gt;/Ä</Path><Name>/a&amp;b</Name><Path>/&lt;c&gt;/x</Path><Path /></S>\n";
        assert_eq!(String::from_utf8(new).unwrap(), wanted);
        let pieces = replace_texts(
            b"<S><Path>/a&amp;b/<![CDATA[x&y]]>/z</Path><Path>/a&amp;b<!-- n -->/q</Path></S>",
            replace,
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            String::from_utf8(pieces).unwrap(),
            "<S><Path>/&lt;c&gt;/x&amp;y/z</Path><Path>/&lt;c&gt;<!-- n -->/q</Path></S>"
        );
        let set = set_text(b"<S>\n  <MetadataPath />\n</S>", "MetadataPath", "/a & b").unwrap();
        assert_eq!(set, b"<S>\n  <MetadataPath>/a &amp; b</MetadataPath>\n</S>");
        assert!(
            replace_texts(b"<S>", replace).is_err() && replace_texts(b"\xff", replace).is_err()
        );
        assert!(
            replace_texts(b"<S/>", replace).unwrap().is_none()
                && replace_texts(b"", replace).unwrap().is_none()
        );
    }
}
