//! What a third tester found: repositories whose keys are away, zips that cannot hold everything,
//! disks that were away for a while, clocks that were put back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use needs::needs;

use super::support::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file of a folder with its bytes.
fn held(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut held: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().to_path_buf(), std::fs::read(entry.path()).unwrap()))
        .collect();
    held.sort();
    held
}

/// An encrypted repository of one snapshot, and the file with its passphrase.
fn encrypted() -> (Program, std::path::PathBuf) {
    let program = Program::plain();
    let passphrase = program.home.path().join("passphrase");
    write(&passphrase, "correct horse battery\n");
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
    let given = ["--passphrase-file", text(&passphrase)];
    let source = own_fixture();
    let first = ["snapshot", text(&source), "--encrypt", "--no-recovery-key"];
    program.ok(&[&first[..], &given].concat());
    (program, passphrase)
}

#[test]
fn repair_gives_nothing_up_of_an_encrypted_repository_whose_keys_are_away() {
    let (program, passphrase) = encrypted();
    let (repo, away) = (program.repo.clone(), program.home.path().join("away"));
    let settings = ["repo.toml", "repo.copy.toml"];
    // Missing, damaged, and those of a repository that is not encrypted.
    let plain = Program::plain();
    plain.ok(&["init"]);
    for kind in ["missing", "damaged", "plain"] {
        std::fs::create_dir(&away).unwrap();
        std::fs::rename(repo.join("keys"), away.join("keys")).unwrap();
        for name in settings {
            std::fs::copy(repo.join(name), away.join(name)).unwrap();
            match kind {
                "missing" => std::fs::remove_file(repo.join(name)).unwrap(),
                "damaged" => {
                    let mut bytes = std::fs::read(repo.join(name)).unwrap();
                    let at = bytes.len() - 8;
                    bytes[at] ^= 1;
                    write(repo.join(name), bytes);
                }
                _ => drop(std::fs::copy(plain.repo.join(name), repo.join(name)).unwrap()),
            }
        }
        // Another machine, which does not remember that it was encrypted.
        std::fs::remove_dir_all(program.home.path().join(".local")).unwrap();
        let before = held(&repo.join("packs"));
        assert!(!before.is_empty());
        for args in [&["repair", "--dry-run"][..], &["repair"], &["repair", "--quick"], &["prune"]]
        {
            let output = program.run(args);
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{kind} {args:?}: {words}");
            assert!(args == ["prune"] || words.contains("keys"), "{kind} {args:?}: {words}");
        }
        assert!(before == held(&repo.join("packs")), "{kind}");
        for name in settings {
            std::fs::copy(away.join(name), repo.join(name)).unwrap();
        }
        std::fs::rename(away.join("keys"), repo.join("keys")).unwrap();
        std::fs::remove_dir_all(&away).unwrap();
        let given = ["--passphrase-file", text(&passphrase)];
        program.ok(&[&["check", "--read-data"][..], &given].concat());
        assert_eq!(
            program.json(&[&["list"][..], &given].concat()).0["snapshots"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[needs(faketime)]
#[test]
fn a_clock_that_was_put_back_moves_nothing() {
    for back in ["-4s", "-10m", "-2h"] {
        let program = Program::new();
        let data = program.home.path().join("jf");
        copy_tree(&own_fixture(), &data);
        let of = program.command(&["--json", "snapshot", text(&data)]);
        let mut command = std::process::Command::new("faketime");
        command.env_clear().envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(["-f", back]).arg(of.get_program()).args(of.get_args());
        let done = command.output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((done.status.code(), &told["problems"]), (Some(0), &serde_json::json!([])));
    }
}
