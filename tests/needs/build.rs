//! What has this machine that some tests need? It is only looked at: nothing is mounted, written or
//! traced for long.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the tests look for programs.
const FOLDERS: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
/// Numbers of capabilities, as in `linux/capability.h`.
const CAP_LINUX_IMMUTABLE: u64 = 9;
const CAP_SYS_ADMIN: u64 = 21;

fn main() {
    // A package that is installed changes one of these folders. A path that does not exist would
    // have this run each time.
    for path in FOLDERS.iter().filter(|folder| Path::new(folder).exists()).chain(&["build.rs"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in ["HOME", "USER", "JELLYVAULT_PYTHON"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let is_root = status("Uid")
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u32>().ok())
        == Some(0);
    let capabilities =
        status("CapEff").and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(0);
    let is_able = |number: u64| is_root && capabilities >> number & 1 == 1;
    let fuse = is_able(CAP_SYS_ADMIN) && opens("/dev/fuse");
    let found = [
        ("root", is_root),
        ("mount", is_able(CAP_SYS_ADMIN)),
        ("fuse", fuse),
        ("exfat", fuse && opens("/dev/loop-control") && ["losetup", "mkfs.exfat", "mount.exfat-fuse"].iter().all(|program| is_installed(program))),
        ("chattr", is_able(CAP_LINUX_IMMUTABLE) && is_installed("chattr")),
        // Containers may have the program and forbid the call.
        ("strace", is_installed("strace") && works("strace", &["-qq", "-o", "/dev/null", "true"])),
        ("faketime", is_installed("faketime")),
        ("rsync", is_installed("rsync")),
        ("systemd", is_installed("systemd-analyze")),
        ("python", pythons().any(|python| works(&python, &["-c", "import blake3, zstandard, tomllib, cryptography.hazmat.primitives.kdf.argon2"]))),
    ];
    let words: Vec<&str> =
        found.iter().filter(|(_, is_there)| *is_there).map(|(word, _)| *word).collect();
    println!("cargo::rustc-env=MACHINE_HAS={}", words.join(" "));
}

/// A line of what the kernel says of this process.
fn status(name: &str) -> Option<String> {
    let all = fs::read_to_string("/proc/self/status").ok()?;
    all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
}

fn opens(device: &str) -> bool {
    File::options().read(true).write(true).open(device).is_ok()
}

fn is_installed(program: &str) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists())
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    done.is_ok_and(|done| done.success())
}

/// Those that the test of the reader tries, too.
fn pythons() -> impl Iterator<Item = String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    std::env::var("JELLYVAULT_PYTHON")
        .into_iter()
        .chain([own.display().to_string(), "python3".to_owned()])
}
