//! The servers that run on this machine, in containers too, and where they keep their data: what
//! their processes say, checked against the files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A server that runs here.
pub(super) struct Running {
    pid: u32,
    uid: u32,
    is_in_container: bool,
    /// Its data directory, on this machine.
    pub data: PathBuf,
    /// Its configuration, on this machine.
    pub config: Option<PathBuf>,
}

impl Running {
    /// Whether its data belongs to the user that it runs as: anybody may start a process that is
    /// called so.
    pub fn owns_its_data(&self) -> bool {
        std::fs::metadata(&self.data).is_ok_and(|facts| facts.uid() == self.uid)
    }

    /// Whether a directory belongs to the user that it runs as, who is not root.
    pub(super) fn owns(&self, dir: &Path) -> bool {
        self.uid != 0
            && std::fs::symlink_metadata(dir)
                .is_ok_and(|facts| facts.is_dir() && facts.uid() == self.uid)
    }

    /// How it was found.
    pub fn words(&self) -> String {
        let place = if self.is_in_container { ", in a container" } else { "" };
        format!("the running server, process {} of user {}{place}", self.pid, user_name(self.uid))
    }
}

/// Whether a server runs on this data directory.
pub fn runs_on(data: &Path) -> bool {
    server_of(data).is_some()
}

/// A server that keeps its data in a directory, whatever it is called there. What another user's
/// process says of somebody else's data does not count.
pub(super) fn server_of(data: &Path) -> Option<Running> {
    let wanted = std::fs::metadata(data).ok()?;
    let is_it = |server: &Running| {
        std::fs::metadata(&server.data)
            .is_ok_and(|facts| (facts.dev(), facts.ino()) == (wanted.dev(), wanted.ino()))
    };
    servers()
        .into_iter()
        .find(|server| is_it(server) && (server.uid == 0 || server.owns_its_data()))
}

/// All that can be seen, one for each data directory.
pub(super) fn servers() -> Vec<Running> {
    let mut found: Vec<Running> = Vec::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return found };
    for pid in processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(server) =
            server(pid).filter(|server| !found.iter().any(|known| known.data == server.data))
        {
            found.push(server);
        }
    }
    found
}

fn server(pid: u32) -> Option<Running> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let arguments = words_of(&std::fs::read(proc.join("cmdline")).ok()?);
    let is_jellyfin = |word: &String| {
        Path::new(word).file_name().is_some_and(|name| name == "jellyfin" || name == "jellyfin.dll")
    };
    arguments.iter().take(2).find(|word| is_jellyfin(word))?;
    // Another user's environment is not for everybody.
    let environment =
        std::fs::read(proc.join("environ")).map(|bytes| words_of(&bytes)).unwrap_or_default();
    let variable = |name: &str| {
        environment
            .iter()
            .find_map(|entry| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    // As the server itself chooses it (`reference/jellyfin.md` 1.2).
    let usual = || {
        variable("XDG_DATA_HOME")
            .or_else(|| Some(format!("{}/.local/share", variable("HOME")?)))
            .map(|base| format!("{base}/jellyfin"))
    };
    let data = option(&arguments, "--datadir", "-d")
        .or_else(|| variable("JELLYFIN_DATA_DIR"))
        .or_else(usual)?;
    let config =
        option(&arguments, "--configdir", "-c").or_else(|| variable("JELLYFIN_CONFIG_DIR"));
    let uid = std::fs::metadata(&proc).ok()?.uid();
    let (data, is_in_container) = place_here(&proc, &data)?;
    let config = config.and_then(|config| place_here(&proc, &config)).map(|(config, _)| config);
    Some(Running { pid, uid, is_in_container, data, config })
}

fn words_of(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// `--datadir X`, `--datadir=X`, `-d X`, `-dX`.
fn option(arguments: &[String], long: &str, short: &str) -> Option<String> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == long || word == short {
            return words.next().cloned();
        }
        let attached = word
            .strip_prefix(short)
            .filter(|_| !word.starts_with("--"))
            .map(|rest| rest.strip_prefix('=').unwrap_or(rest));
        if let Some(value) =
            word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')).or(attached)
        {
            return Some(value.to_owned());
        }
    }
    None
}

/// Where this machine has a directory of the process, and whether the process sees it elsewhere.
/// Both must be the same directory.
fn place_here(proc: &Path, path: &str) -> Option<(PathBuf, bool)> {
    let absolute;
    let path = if path.starts_with('/') {
        path
    } else {
        absolute = std::fs::read_link(proc.join("cwd"))
            .ok()?
            .join(path.trim_start_matches("./"))
            .to_string_lossy()
            .into_owned();
        absolute.trim_end_matches(['/', '.'])
    };
    let theirs = std::fs::metadata(proc.join("root").join(path.trim_start_matches('/')))
        .ok()
        .filter(std::fs::Metadata::is_dir)?;
    let is_same = |here: &Path| {
        std::fs::metadata(here)
            .is_ok_and(|here| (here.dev(), here.ino()) == (theirs.dev(), theirs.ino()))
    };
    let same = PathBuf::from(path);
    if is_same(&same) {
        return Some((same, false));
    }
    let all = mounts(&proc.join("mountinfo"));
    let mount = all
        .iter()
        .filter(|mount| Path::new(path).starts_with(&mount.point))
        .max_by_key(|mount| mount.point.as_os_str().len())?;
    let on_disk = mount.root.join(Path::new(path).strip_prefix(&mount.point).ok()?);
    let candidates = mounts(Path::new("/proc/self/mountinfo"));
    let here = candidates
        .iter()
        .filter(|ours| ours.device == mount.device)
        .filter_map(|ours| Some(ours.point.join(on_disk.strip_prefix(&ours.root).ok()?)));
    here.into_iter().find(|here| is_same(here)).map(|here| (here, true))
}

struct Mount {
    device: String,
    root: PathBuf,
    point: PathBuf,
}

/// The mounts of `mountinfo`: device, what of its file system is mounted, and where (proc(5)).
fn mounts(file: &Path) -> Vec<Mount> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        Some(Mount {
            device: fields.next()?.to_owned(),
            root: unescaped(fields.next()?),
            point: unescaped(fields.next()?),
        })
    };
    text.lines().filter_map(mount).collect()
}

fn unescaped(field: &str) -> PathBuf {
    PathBuf::from(field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
}

fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}
