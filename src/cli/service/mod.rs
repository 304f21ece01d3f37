//! `run`, `serve`, `status`, `config`, `notify`, `web` and `setup`: what is done by itself.

mod armed;
mod config;
mod copies;
mod facts;
mod jobs;
mod notice;
mod notify;
mod quiet;
mod report;
mod round;
mod serve;
mod setup;
mod status;
mod systemd;
mod web;
mod web_accounts;

pub use armed::{arm, run as armed};
pub use config::run as config;
pub use notify::run as notify;
pub use round::run;
pub use serve::run as serve;
pub use setup::run as setup;
pub use status::run as status;
pub use web_accounts::run as web;
