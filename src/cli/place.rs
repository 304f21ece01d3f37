//! Where is the repository? What the user says, what a configuration file says, or the usual place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::service::Config;

use super::failure::Failure;

/// What names a place on another machine in backup programs.
const REMOTE: [&str; 17] = [
    "s3", "sftp", "rclone", "ssh", "rest", "b2", "gs", "azure", "swift", "http", "https", "webdav",
    "dav", "smb", "ftp", "nfs", "file",
];

/// The repository's place, and whether somebody chose it.
pub fn repository(
    named: Option<&Path>,
    configured: Option<&Path>,
) -> Result<(PathBuf, bool), Failure> {
    if let Some(path) = named {
        refuse_remote(path)?;
        return Ok((path.to_path_buf(), true));
    }
    if let Some(path) = configured {
        refuse_remote(path)?;
        return Ok((path.to_path_buf(), true));
    }
    if rustix::process::geteuid().is_root() {
        return Ok((PathBuf::from("/var/lib/jellyvault"), false));
    }
    let home = |name: &str, below: &str| {
        std::env::var_os(name).map(|base| PathBuf::from(base).join(below))
    };
    home("XDG_DATA_HOME", "jellyvault")
        .or_else(|| home("HOME", ".local/share/jellyvault"))
        .map(|path| (path, false))
        .ok_or_else(|| {
            Failure::usage(
                "no repository path given",
                "Give it with --repo PATH, or set JELLYVAULT_REPO.",
            )
        })
}

/// Where this user's programs keep what can be made anew.
pub fn cache_home() -> Option<PathBuf> {
    let named =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let service = || std::env::var_os("CACHE_DIRECTORY").map(PathBuf::from);
    let own = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    named
        .or_else(service)
        .or_else(own)
        .or_else(|| rustix::process::geteuid().is_root().then(|| PathBuf::from("/var/cache")))
}

fn refuse_remote(path: &Path) -> Result<(), Failure> {
    refuse_remote_place(path, "repositories", "--repo")
}

/// A place on another machine must not become a folder of that name on this one.
pub fn refuse_remote_place(path: &Path, of: &str, option: &str) -> Result<(), Failure> {
    // `//nas/share` is another machine's where this one has no directory `/nas`.
    let has_first =
        path.components().nth(1).is_some_and(|first| Path::new("/").join(first).exists());
    let is_perhaps = |text: &str| {
        is_perhaps_remote(text) && !path.exists() && !(text.starts_with('/') && has_first)
    };
    let is_meant = |text: &&str| is_remote(text) || is_perhaps(text);
    let Some(text) = path.to_str().filter(is_meant) else { return Ok(()) };
    let own = if text.starts_with('/') {
        format!("/{}", text.trim_start_matches('/'))
    } else {
        format!("./{text}")
    };
    Err(Failure::usage(
        &format!(
            "{text} is a path on another machine, and this version supports only local directories as {of}. Nothing was created"
        ),
        &format!(
            "Mount it and give the local directory. If a local directory really has this name: {option} {own}"
        ),
    ))
}

/// `s3:bucket`, `ssh://nas/backup`, `user@nas:/backup`, `nas:/backup`.
fn is_remote(text: &str) -> bool {
    // `[fe80::1]:/backup`
    if text.starts_with('[') && text.contains("]:") {
        return true;
    }
    let Some((before, after)) = text.split_once(':') else { return false };
    !before.is_empty()
        && !before.contains('/')
        && (REMOTE.contains(&before.to_lowercase().as_str())
            || before.contains('@')
            || after.starts_with('/'))
}

/// `nas:backup`, which a folder can be called, too; `\\\\nas\\backup`, `//nas/backup`, `C:\backup`.
fn is_perhaps_remote(text: &str) -> bool {
    let is_host = |host: &str| {
        host.len() > 1
            && host.starts_with(|c: char| c.is_ascii_alphabetic())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
    };
    let is_share = text.starts_with("\\\\") || (text.starts_with("//") && !text.starts_with("///"));
    let is_drive = |letter: &str, rest: &str| {
        letter.len() == 1
            && letter.chars().all(|c| c.is_ascii_alphabetic())
            && rest.starts_with('\\')
    };
    is_share
        || text.split_once(':').is_some_and(|(letter, rest)| is_drive(letter, rest))
        || text.split_once(':').is_some_and(|(host, _)| is_host(host))
}

/// Where configuration files are looked for, the user's own first.
fn places() -> Vec<PathBuf> {
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    user.map(|base| base.join("jellyvault/config.toml"))
        .into_iter()
        .chain([PathBuf::from(OF_ALL)])
        .collect()
}

/// The configuration of the whole machine.
const OF_ALL: &str = "/etc/jellyvault.toml";

/// The configuration file, where there is one: the one that the user names, or one in the usual
/// places.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    named.map(Path::to_path_buf).or_else(|| places().into_iter().find(|path| path.exists()))
}

/// The file that a new configuration is written to: the one that is read.
pub fn file_to_write(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let usual = || {
        if rustix::process::geteuid().is_root() {
            Some(PathBuf::from(OF_ALL))
        } else {
            places().into_iter().next()
        }
    };
    file(named).or_else(usual).ok_or_else(|| {
        Failure::usage(
            "no place for the configuration file is known",
            "Give it with --config FILE.",
        )
    })
}

/// A file that others can change must not say which programs root runs.
pub fn refuse_strange_programs(file: &Path, config: &Config) -> Result<(), Failure> {
    let gives_passphrase = config.encryption.passphrase_command.is_some();
    let programs =
        [&config.hooks.before, &config.hooks.after, &config.hooks.failed, &config.notify.command];
    let Some(facts) = std::fs::metadata(file).ok().filter(|_| rustix::process::geteuid().is_root())
    else {
        return Ok(());
    };
    if (programs.iter().all(|program| program.is_empty()) && !gives_passphrase)
        || (facts.uid() == 0 && facts.mode() & 0o022 == 0)
    {
        return Ok(());
    }
    Err(Failure::refused(
        &format!(
            "the configuration file {} names programs, but other users can change it, and jellyvault would run them as root",
            file.display()
        ),
        "Make it root's alone: chown root and chmod 600. Or remove the programs ([hooks], and command in [notify]).",
    ))
}

#[cfg(test)]
mod tests {
    use super::{is_perhaps_remote, is_remote};

    #[test]
    fn places_on_other_machines_are_told_from_folders() {
        for remote in [
            "s3:bucket/jelly",
            "S3:x",
            "sftp:nas:/backup",
            "rclone:drive:jelly",
            "ssh://nas/backup",
            "user@nas:/backup",
            "user@nas:backup",
            "nas:/backup",
            "zz://x",
        ] {
            assert!(is_remote(remote), "{remote}");
        }
        for folder in
            ["/mnt/a:b", "./s3:bucket", "backup", "a:b", ":x", "/s3:", "my@folder/x:y", "12:30"]
        {
            assert!(!is_remote(folder), "{folder}");
        }
        for (text, is_so) in [
            ("nas:backup", true),
            ("\\\\nas\\backup", true),
            ("//nas/backup", true),
            ("C:\\backup", true),
            ("///a", false),
            ("my-nas.local:b", true),
            ("a:b", false),
            ("12:30", false),
            ("./nas:backup", false),
        ] {
            assert_eq!(is_perhaps_remote(text), is_so, "{text}");
        }
    }
}
