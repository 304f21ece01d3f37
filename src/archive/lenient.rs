//! JSON as the server reads it: a byte order mark in front and a comma before a closing bracket
//! pass.

use std::io::{self, Read};

/// Bytes that are looked at at once.
const BLOCK_BYTES: usize = 64 << 10;
/// Longest row, in bytes: whoever parses it holds it in memory.
const ROW_BYTES_MAX: usize = 16 << 20;

/// UTF-8's byte order mark.
const MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// Reads through to strict JSON.
pub struct Lenient<R> {
    inner: R,
    block: Vec<u8>,
    /// What was looked at and not yet handed out, from `at` on.
    ready: Vec<u8>,
    at: usize,
    comma: bool,
    /// Blanks behind a comma of which it is not known whether it stays.
    blanks: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// Brackets that are open.
    depth: usize,
    /// Bytes since the last comma between rows.
    row_bytes: usize,
    /// Bytes of a byte order mark that were met.
    mark: usize,
    ended: bool,
}

/// A reader that says it gave more than it was asked for.
pub(super) fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "more bytes were told than read")
}

/// Makes JSON strict.
pub fn lenient<R: Read>(inner: R) -> Lenient<R> {
    Lenient {
        inner,
        block: vec![0; BLOCK_BYTES],
        ready: Vec::new(),
        at: 0,
        comma: false,
        blanks: Vec::new(),
        in_string: false,
        escaped: false,
        depth: 0,
        row_bytes: 0,
        mark: 0,
        ended: false,
    }
}

impl<R: Read> Lenient<R> {
    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.at = 0;
        while self.ready.is_empty() && !self.ended {
            let mut block = std::mem::take(&mut self.block);
            let read = self.inner.read(&mut block);
            let outcome = read.and_then(|len| self.take(block.get(..len).ok_or_else(too_much)?));
            self.block = block;
            match outcome {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            self.ended = true;
            self.settle(true);
            return Ok(());
        }
        while let (Some(mark), [first, rest @ ..]) = (MARK.get(self.mark), bytes) {
            // Once something else came, no mark is looked for any more.
            self.mark = if mark == first { self.mark + 1 } else { MARK.len() };
            if mark == first {
                bytes = rest;
            }
        }
        for byte in bytes {
            self.row_bytes += 1;
            if self.row_bytes > ROW_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a row in it is longer than 16 MiB",
                ));
            }
            if self.in_string {
                self.ready.push(*byte);
                self.in_string = self.escaped || *byte != b'"';
                self.escaped = !self.escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' if self.comma => {
                    // Of many blanks one says as much.
                    if self.blanks.is_empty() {
                        self.blanks.push(*byte);
                    }
                }
                b',' => {
                    self.settle(true);
                    self.comma = true;
                    if self.depth <= 1 {
                        self.row_bytes = 0;
                    }
                }
                _ => {
                    self.settle(!matches!(byte, b']' | b'}'));
                    self.in_string = *byte == b'"';
                    match byte {
                        b'[' | b'{' => self.depth += 1,
                        b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    self.ready.push(*byte);
                }
            }
        }
        Ok(())
    }

    /// The comma that waits is written or let go.
    fn settle(&mut self, keep: bool) {
        if std::mem::take(&mut self.comma) && keep {
            self.ready.push(b',');
        }
        self.ready.append(&mut self.blanks);
    }
}

impl<R: Read> Read for Lenient<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.ready.len() {
            self.refill()?;
        }
        let mut rest = self.ready.get(self.at..).ok_or_else(too_much)?;
        let len = rest.read(buf)?;
        self.at += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_would_fill_the_memory_is_an_error() {
        let long = ROW_BYTES_MAX as u64 + 10;
        for (before, byte, is_too_long) in
            [("[{\"a\":\"", b'a', true), ("[0", b'0', true), ("[[", b',', true), ("[", b',', false)]
        {
            let mut all = lenient(before.as_bytes().chain(std::io::repeat(byte).take(long)));
            assert_eq!(io::copy(&mut all, &mut io::sink()).is_err(), is_too_long, "{before}");
        }
    }

    #[test]
    fn only_commas_before_a_closing_bracket_go() {
        for (from, to) in [
            ("\u{feff}[1, 2 , ]", "[1, 2  ]"),
            (r#"{"a":",]","b":[{},],}"#, r#"{"a":",]","b":[{}]}"#),
            (r#"["\",]", "\\",]"#, r#"["\",]", "\\"]"#),
            ("[1,,2]", "[1,,2]"),
            ("[1],", "[1],"),
        ] {
            let mut out = String::new();
            lenient(from.as_bytes()).read_to_string(&mut out).unwrap();
            assert_eq!(out, to);
            // Whatever the pieces in which it comes.
            let mut out = String::new();
            let bytes = from.as_bytes();
            lenient(bytes.iter().fold(Box::new(io::empty()) as Box<dyn Read>, |before, byte| {
                Box::new(before.chain(std::slice::from_ref(byte)))
            }))
            .read_to_string(&mut out)
            .unwrap();
            assert_eq!(out, to);
        }
    }
}
