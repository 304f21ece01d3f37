//! Where is the repository? What the user says, what a configuration file says, or the usual place.

use std::path::{Path, PathBuf};

use super::failure::Failure;

/// What names a place on another machine in backup programs.
const REMOTE: [&str; 17] = ["s3", "sftp", "rclone", "ssh", "rest", "b2", "gs", "azure", "swift", "http", "https", "webdav", "dav", "smb", "ftp", "nfs", "file"];

/// The repository's place, and whether somebody chose it.
pub fn repository(named: Option<&Path>) -> Result<(PathBuf, bool), Failure> {
    if let Some(path) = named {
        refuse_remote(path)?;
        return Ok((path.to_path_buf(), true));
    }
    if let Some(path) = configured()? {
        refuse_remote(&path)?;
        return Ok((path, true));
    }
    if rustix::process::geteuid().is_root() {
        return Ok((PathBuf::from("/var/lib/jellyvault"), false));
    }
    let home = |name: &str, below: &str| std::env::var_os(name).map(|base| PathBuf::from(base).join(below));
    home("XDG_DATA_HOME", "jellyvault")
        .or_else(|| home("HOME", ".local/share/jellyvault"))
        .map(|path| (path, false))
        .ok_or_else(|| Failure::usage("no repository path given", "Give it with --repo PATH, or set JELLYVAULT_REPO."))
}

/// A place on another machine must not become a folder of that name on this one.
fn refuse_remote(path: &Path) -> Result<(), Failure> {
    let is_meant = |text: &&str| is_remote(text) || (is_perhaps_remote(text) && !path.exists());
    let Some(text) = path.to_str().filter(is_meant) else { return Ok(()) };
    Err(Failure::usage(
        &format!("{text} is a path on another machine, and this version supports only local directories as repositories. Nothing was created"),
        &format!("Mount it and give the local directory. If a local directory really has this name: --repo ./{text}"),
    ))
}

/// `s3:bucket`, `ssh://nas/backup`, `user@nas:/backup`, `nas:/backup`.
fn is_remote(text: &str) -> bool {
    let Some((before, after)) = text.split_once(':') else { return false };
    !before.is_empty() && !before.contains('/') && (REMOTE.contains(&before.to_lowercase().as_str()) || before.contains('@') || after.starts_with('/'))
}

/// `nas:backup`, which a folder can be called, too; `\\\\nas\\backup`.
fn is_perhaps_remote(text: &str) -> bool {
    let is_host = |host: &str| {
        host.len() > 1 && host.starts_with(|c: char| c.is_ascii_alphabetic()) && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
    };
    text.starts_with("\\\\") || text.split_once(':').is_some_and(|(host, _)| is_host(host))
}

/// `repo` of the configuration file.
fn configured() -> Result<Option<PathBuf>, Failure> {
    let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    for path in user.map(|base| base.join("jellyvault/config.toml")).into_iter().chain([PathBuf::from("/etc/jellyvault.toml")]) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let wrong = |what: String| {
            Failure::usage(
                &format!("the configuration file {} is invalid: {what}", path.display()),
                "It may contain one line: repo = \"/path/to/the/repository\"",
            )
        };
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
        match table.get("repo") {
            Some(toml::Value::String(repo)) => return Ok(Some(PathBuf::from(repo))),
            Some(_) => return Err(wrong("repo is not a string".to_owned())),
            None => {}
        }
    }
    Ok(None)
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
        for folder in ["/mnt/a:b", "./s3:bucket", "backup", "a:b", ":x", "/s3:", "my@folder/x:y", "12:30"] {
            assert!(!is_remote(folder), "{folder}");
        }
        for (text, is_so) in
            [("nas:backup", true), ("\\\\nas\\backup", true), ("my-nas.local:b", true), ("a:b", false), ("12:30", false), ("./nas:backup", false)]
        {
            assert_eq!(is_perhaps_remote(text), is_so, "{text}");
        }
    }
}
