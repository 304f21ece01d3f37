//! What is on the Jellyfin disk? Where the instance is, what its parts are, what changed, and a copy of its database that is whole.

mod beneath;
mod category;
mod find_error;
mod instance;
mod jellyfin_db;
mod layout;
mod listing;
mod new_instance;
mod read;
mod rules;
mod scan;
mod scan_cache;
mod scratch;
mod sqlite;
mod stat;
mod verdicts;
pub mod version;
mod xattr;
mod xml;

pub use beneath::{open_beneath, open_dir};
pub use category::{Category, DATABASE_PATH, UnknownCategory};
pub use find_error::FindError;
pub use instance::{Instance, Missing, MissingPath, Named, Platform, Surroundings, find};
pub use jellyfin_db::{DatabaseFacts, read_facts};
pub use layout::Layout;
pub use new_instance::{Arrangement, UnknownArrangement, Unnamed};
pub use read::OpenFile;
pub use rules::{Globs, Rules};
pub use scan::{Event, Found, ScanError, ScanRoot, closed_dirs, os_path, scan};
pub use scan_cache::{Run, ScanCache, ScanCacheWriter, Section};
pub use scratch::{NoSpace, ScratchFolder};
pub use sqlite::{CopyError, DatabaseCopy, copy as copy_database, is_database, is_open_elsewhere, open_private, quick_check, side_file};
pub use stat::{Fingerprint, Stat};
pub use verdicts::Verdicts;
pub use xattr::{of_file as xattrs_of_file, of_link as xattrs_of_link};
pub use xml::{database as database_settings, element as xml_element};
