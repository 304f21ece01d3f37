//! The page in the browser, and the same for programs below `/api/v1`. It reads the repository by
//! itself; whatever changes something runs as a command in a process of its own: the very command
//! that the page shows.

mod accounts;
mod address;
mod api;
mod assets;
mod auth;
mod board;
mod cookies;
mod doorway;
mod download;
mod events;
mod guard;
mod names;
mod oops;
mod pages;
mod patient;
mod posted;
mod quick;
mod requests;
mod routes;
mod run;
mod run_log;
mod runs;
mod server;
mod site;
mod small;
mod stories;
mod throttle;
mod view;

pub use accounts::{Accounts, Trouble as AccountsTrouble};
pub use board::{Board, Far, Order, Watched, Working};
pub use doorway::Doorway;
pub use runs::Command;
pub use server::{Started, start};
pub use site::{Site, SiteSettings};
