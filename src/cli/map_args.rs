//! Arguments that change the paths of a server.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::source::Arrangement;

use super::source_args::SourceArgs;

/// How to move.
#[derive(Debug, Args)]
pub struct MoveArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub map: MapArgs,
    /// Undo the last move: restore the state before it
    #[arg(long, conflicts_with_all = ["map_layout", "map", "map_plugins", "allow_missing", "allow_changed"])]
    pub undo: bool,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Which paths change.
#[derive(Clone, Debug, Default, Args)]
pub struct MapArgs {
    /// Change the paths of the server's own directories in the database and the settings: to those
    /// of the server here, or of LAYOUT (docker, linuxserver, debian, portable)
    #[arg(long, value_name = "LAYOUT", num_args = 0..=1, default_missing_value = "auto")]
    pub map_layout: Option<MapLayout>,
    /// Change media paths: OLD and everything in it is at NEW now, both as the server sees them.
    /// Moves no media files. May be given several times
    #[arg(long, value_name = "OLD=NEW")]
    pub map: Vec<MapPair>,
    /// Change paths in the settings of plugins, too
    #[arg(long)]
    pub map_plugins: bool,
    /// Continue even if media is not at its new path on this machine
    #[arg(long)]
    pub allow_missing: bool,
    /// Continue even if media has other modification times than in the library
    #[arg(long)]
    pub allow_changed: bool,
}

impl MapArgs {
    /// Whether any path changes.
    pub fn is_wanted(&self) -> bool {
        self.map_layout.is_some() || !self.map.is_empty()
    }
}

/// Whose directories the paths become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapLayout {
    /// Those of the server that is there.
    Auto,
    /// Those of a layout.
    Layout(Arrangement),
    /// Those of the server that is there, whose data directory was written behind the option.
    Place(PathBuf),
}

impl FromStr for MapLayout {
    type Err = String;

    fn from_str(text: &str) -> Result<MapLayout, String> {
        match text {
            "auto" => Ok(MapLayout::Auto),
            text if text.contains('/') => Ok(MapLayout::Place(PathBuf::from(text))),
            text => text
                .parse()
                .map(MapLayout::Layout)
                .map_err(|error: crate::source::UnknownArrangement| error.to_string()),
        }
    }
}

/// An old and a new directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPair(pub String, pub String);

impl FromStr for MapPair {
    type Err = String;

    fn from_str(text: &str) -> Result<MapPair, String> {
        // A directory may have the sign in its name; the new one begins with a slash.
        let at = text
            .find("=/")
            .ok_or_else(|| "write it as /old=/new, with two absolute paths".to_owned())?;
        let (old, new) = text.split_at(at);
        if old.starts_with('/') || crate::ops::is_windows(old) {
            Ok(MapPair(old.to_owned(), new.trim_start_matches('=').to_owned()))
        } else {
            Err(format!("{old:?} is not an absolute path"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_layouts_are_read() {
        assert_eq!("/a=b=/c=/d".parse(), Ok(MapPair("/a=b".into(), "/c=/d".into())));
        assert!(
            "a=/b".parse::<MapPair>().is_err()
                && "/a".parse::<MapPair>().is_err()
                && "/a=b".parse::<MapPair>().is_err()
        );
        assert_eq!("docker".parse(), Ok(MapLayout::Layout(Arrangement::Docker)));
        assert_eq!("/srv/jf".parse(), Ok(MapLayout::Place("/srv/jf".into())));
        assert!("qnap".parse::<MapLayout>().is_err());
    }
}
