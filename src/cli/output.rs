//! Standard output.

use std::io::Write;

use super::clean::cleaned;
use super::failure::Failure;

/// Writes to standard output; a reader who went away (`| head`) ends the program quietly.
pub fn print(text: &str) -> Result<(), Failure> {
    super::bar::clear();
    let mut out = std::io::stdout().lock();
    out.write_all(cleaned(text).as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::from(crate::ops::Error::Output(e)))
}

/// The same at the end of work: where the answer cannot be written, the user learns that the work
/// is done.
pub fn print_done(text: &str, what_was_done: &str) -> Result<(), Failure> {
    print(text).map_err(|failure| failure.but_done(what_was_done))
}

/// The same of a command that may have been a dry run, whose answer is all there was to do.
pub fn print_outcome(text: &str, is_dry: bool, what_was_done: &str) -> Result<(), Failure> {
    if is_dry { print(text) } else { print_done(text, what_was_done) }
}
