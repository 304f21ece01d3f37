//! What finding an instance may look at, and how paths are put together there.

/// An operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, containers among it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// What resolution may look at.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether a directory is there.
    fn is_dir(&self, path: &str) -> bool;
    /// The bytes of a small file.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// Whether a file is there.
    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
    /// Whether two paths lead to one place.
    fn is_same_place(&self, a: &str, b: &str) -> bool {
        a == b
    }
    /// A value of the Windows registry.
    fn registry(&self, _key: &str, _name: &str) -> Option<String> {
        None
    }
}

/// Looks for an instance on one machine.
pub(super) struct Finder<'a> {
    pub(super) platform: Platform,
    pub(super) at: &'a dyn Surroundings,
}

impl Finder<'_> {
    pub(super) fn join(&self, base: &str, name: &str) -> String {
        let separator = if self.platform == Platform::Windows { '\\' } else { '/' };
        format!("{}{separator}{name}", base.trim_end_matches(['/', separator]))
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.at.variable(name).filter(|value| !value.trim().is_empty())
    }
}

/// Whether a path is another, or lies in it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches(['/', '\\']);
    path.trim_end_matches(['/', '\\'])
        .strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}
