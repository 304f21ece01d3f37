//! What is done by itself: which jobs there are, when they are due, what became of them, how the
//! server stands, and who is told.
//!
//! Nothing here takes a snapshot: that is [`super::ops`], which the command line calls for what is
//! due.

mod alarm;
mod armed;
mod config;
mod config_error;
mod copy_config;
mod drill_config;
mod due;
mod encryption_config;
mod environment;
mod hooks;
mod jellyfin_config;
mod job;
mod job_log;
mod level;
mod mail;
mod message;
mod metrics;
mod notify;
mod one_or_many;
mod report_config;
mod retention_config;
mod retention_words;
mod schedule;
mod standing;
mod timing;
mod web_config;

pub use alarm::{Alarm, Telling};
pub use armed::{Armed, ArmedOrder, ArmedOutcome};
pub use config::{Config, EXAMPLE, Hooks, Loaded};
pub use config_error::ConfigError;
pub use copy_config::CopyConfig;
pub use drill_config::DrillConfig;
pub use due::{Past, due, look_again};
pub use encryption_config::EncryptionConfig;
pub use hooks::{HookError, run_hook};
pub use jellyfin_config::JellyfinConfig;
pub use job::Job;
pub use job_log::{JobLog, Outcome, SuddenLoss, read_json, write_json};
pub use level::Level;
pub use message::{Message, SendError};
pub use metrics::{metrics, write_metrics};
pub use notify::Notify;
pub use one_or_many::OneOrMany;
pub use report_config::ReportConfig;
pub use retention_words::retention_words;
pub use schedule::Schedule;
pub use standing::{Away, Facts, LastSnapshot, Standing, age};
pub use web_config::WebConfig;
