//! Paths of snapshots in addresses: any bytes, each part as it is or as `%NN`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What an address may hold as it is.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// Of a single value also no slash.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path for an address.
pub fn path(path: &[u8]) -> String {
    percent_encode(path, KEPT).to_string()
}

/// A value for the part of an address behind the question mark.
pub fn value(text: &str) -> String {
    percent_encode(text.as_bytes(), VALUE).to_string()
}

/// The bytes of a path in an address.
pub fn bytes(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_comes_back() {
        let odd: Vec<u8> = b"a b/%2e?#&\xff\xfe/..\\\"<'\n".to_vec();
        assert_eq!(bytes(&path(&odd)), odd);
        assert!(
            path(&odd)
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~/%".contains(&byte))
        );
        assert_eq!(
            (path(b"data/x"), value("a/b&c")),
            ("data/x".to_owned(), "a%2Fb%26c".to_owned())
        );
    }
}
