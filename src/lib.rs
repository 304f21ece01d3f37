//! Jellyvault: snapshots of Jellyfin servers that cost only what changed.

pub mod archive;
pub mod backend;
pub mod chunk;
pub mod cli;
pub mod database;
pub mod limits;
pub mod manifest;
pub mod ops;
pub mod progress;
pub mod source;
pub mod store;

/// Lets go of an outcome that changes nothing for anyone; the comment above each call says why.
fn tolerate<T, E>(_outcome: Result<T, E>) {}
