//! The address of the server: http or https, a host, perhaps a port and a base path, and nothing
//! else.

use std::fmt;

/// An address that was looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it: somebody may have put a secret there.
    pub fn parse(text: &str) -> Result<Address, String> {
        const EXAMPLE: &str =
            "it must look like http://127.0.0.1:8096 or https://media.example.org/jellyfin";
        let (scheme, rest) = text.trim().split_once("://").ok_or(EXAMPLE)?;
        if !["http", "https"].contains(&scheme) {
            return Err(EXAMPLE.to_owned());
        }
        if rest.contains('@') {
            return Err("it must not contain a user or a password: the API key belongs into the file that api_key_file names".to_owned());
        }
        let host = rest.split('/').next().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]/".contains(c);
        if host.is_empty() || host.starts_with(':') || !rest.chars().all(is_plain) {
            return Err(EXAMPLE.to_owned());
        }
        Ok(Address(format!("{scheme}://{}", rest.trim_end_matches('/'))))
    }

    /// The address of a path of the interface.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A value as it stands in an address.
pub(super) fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    value
        .bytes()
        .map(
            |byte| {
                if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_a_host_and_a_path() {
        for (text, read) in [
            ("http://127.0.0.1:8096", "http://127.0.0.1:8096"),
            (" https://media.example.org/jellyfin/ ", "https://media.example.org/jellyfin"),
            ("http://[::1]:8096/", "http://[::1]:8096"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), read);
        }
        for wrong in [
            "",
            "127.0.0.1:8096",
            "ftp://x",
            "http://",
            "http:///x",
            "http://:8096",
            "http://x?api_key=1",
            "http://x y",
            "http://x#y",
            "file:///etc",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        let with_password = Address::parse("http://ana:secret@host").unwrap_err();
        assert!(!with_password.contains("secret") && with_password.contains("api_key_file"));
    }

    #[test]
    fn a_value_cannot_leave_its_place_in_an_address() {
        assert_eq!(encoded("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }
}
