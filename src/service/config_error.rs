//! What is wrong with a configuration.

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read ({why})")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// It is not TOML, or has a key or a value that there is not.
    #[error("the configuration {path} is invalid: {what}")]
    Invalid {
        /// The file.
        path: String,
        /// What, with the line.
        what: String,
    },
    /// A value makes no sense.
    #[error("the configuration has a wrong value{}: {what}", if section.is_empty() { String::new() } else { format!(" in [{section}]") })]
    Value {
        /// The section.
        section: &'static str,
        /// What.
        what: String,
    },
}
