//! `--log`: what the engine says of its work goes to standard error.

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

use super::clean::in_a_line;

/// How much is said: what is worked around, each decision, each step, each file that is read twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Warn,
    Info,
    Debug,
    Trace,
}

/// Begins to write.
pub fn begin(level: LogLevel) {
    let level = match level {
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(Lines).init();
}

/// Standard error, a line at a time: names from elsewhere cannot begin another, or give orders to
/// the terminal.
struct Lines;

impl tracing_subscriber::fmt::MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line
    }
}

struct Line;

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        writeln!(std::io::stderr(), "{}", in_a_line(text.trim_end_matches('\n')))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
