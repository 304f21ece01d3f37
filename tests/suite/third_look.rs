//! What a third tester found: repositories whose keys are away, zips that cannot hold everything,
//! disks that were away for a while, clocks that were put back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use needs::needs;

use super::security::{Stage, USER, sh};
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

#[test]
fn a_directory_whose_disk_was_away_for_one_snapshot_is_found_again() {
    let _alone = alone();
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    let (data, metadata, away) = (place("jf"), place("disk/metadata"), place("away"));
    copy_tree(&own_fixture(), &data);
    std::fs::create_dir(place("disk")).unwrap();
    std::fs::rename(data.join("metadata"), &metadata).unwrap();
    program.ok(&["snapshot", text(&data), "--metadata-dir", text(&metadata)]);
    let taken = || program.json(&["snapshot"]);
    let pictures =
        |taken: &serde_json::Value| taken["snapshot"]["categories"]["metadata"]["files"].clone();
    let (whole, code) = taken();
    assert!(code == 0 && pictures(&whole).as_u64() > Some(10), "{whole}");
    std::fs::rename(&metadata, &away).unwrap();
    assert_eq!(taken().1, 3, "it is away");
    std::fs::rename(&away, &metadata).unwrap();
    let (again, code) = taken();
    assert_eq!((code, pictures(&again)), (0, pictures(&whole)), "{again}");
    // A restore goes where the server looks, too.
    let poster = metadata.join("library");
    std::fs::remove_dir_all(&poster).unwrap();
    program.ok(&["restore", "latest", "--in-place", "--only", "metadata", "--yes"]);
    assert!(poster.is_dir() && !data.join("metadata/library").exists());
}

#[test]
fn directories_of_jellyfin_that_were_links_come_back_as_directories_on_a_new_machine() {
    for name in ["plugins", "metadata", "root"] {
        let program = Program::new();
        let place = |name: &str| program.home.path().join(name);
        let (data, disk, new) = (place("jf"), place("disk"), place("new"));
        copy_tree(&own_fixture(), &data);
        std::fs::create_dir(&disk).unwrap();
        std::fs::rename(data.join(name), disk.join(name)).unwrap();
        std::os::unix::fs::symlink(disk.join(name), data.join(name)).unwrap();
        program.ok(&["snapshot", text(&data)]);
        let before: Vec<_> = held(&disk.join(name)).into_iter().map(|(_, bytes)| bytes).collect();
        assert!(!before.is_empty());
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::remove_dir_all(&disk).unwrap();
        let args = ["restore", "latest", "--in-place", "--data-dir", text(&new)];
        let (plan, code) = program.json(&[&args[..], &["--dry-run"]].concat());
        assert_eq!(code, 0, "{plan}");
        let (done, code) = program.json(&args);
        assert_eq!((code, &done["files"]), (0, &plan["files"]), "{done}");
        assert!(done["remarks"].to_string().contains("it is a directory now"), "{done}");
        let after: Vec<_> = held(&new.join(name)).into_iter().map(|(_, bytes)| bytes).collect();
        assert!(before == after, "{name}");
        // Once more: nothing is left to do.
        assert_eq!(program.json(&args).1, 0);
    }
}

#[test]
fn a_restore_of_a_zip_deletes_nothing_that_a_zip_cannot_hold() {
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    let (data, zip) = (place("jf"), place("own.zip"));
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    program.ok(&["export", "latest", text(&zip)]);
    write(data.join("data/livetv/timers.json"), "[]");
    write(data.join("data/splashscreen-upload.png"), "painted");
    write(data.join("config/own.conf"), "mine");
    write(data.join("data/playlists/Gone [playlist]/playlist.xml"), "<Item />");
    std::fs::create_dir_all(data.join("metadata/library/zz/empty")).unwrap();
    let other = Program { repo: place("other"), ..Program::new() };
    other.ok(&["import", text(&zip)]);
    let args = ["restore", "latest", "--in-place", "--delete", "--yes", "--same-directories"];
    let (done, code) = other.json(&[&args[..], &["--data-dir", text(&data)]].concat());
    assert!(code == 0 || code == 3, "{done}");
    for kept in [
        "data/device.txt",
        "data/livetv/timers.json",
        "data/splashscreen-upload.png",
        "config/own.conf",
        "metadata/library/zz/empty",
    ] {
        assert!(data.join(kept).exists(), "{kept}: {done}");
    }
    assert!(!data.join("data/playlists/Gone [playlist]/playlist.xml").exists(), "{done}");
}

/// An item of the fixture that has pictures.
const ITEM: &str = "11faabb81f9dcd6ad0913dc529c1f927";

#[test]
fn a_history_of_an_item_has_all_its_pictures() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    let (all, _) = program.json(&["history", "--item", ITEM]);
    let (poster, _) = program.json(&["history", "--item", ITEM, "poster"]);
    let count = |found: &serde_json::Value| found["versions"].as_array().unwrap().len();
    assert!(count(&all) >= count(&poster) && count(&poster) > 0, "{all} {poster}");
    let one = program.run(&["cat", "latest", "--item", ITEM]).stdout;
    assert!(!one.is_empty());
    assert!(one == program.run(&["cat", "latest", "--item", ITEM, "poster"]).stdout);
}

/// Root owns the server, but for one directory (or its group may write there).
#[needs(root)]
#[test]
fn a_link_in_the_one_directory_that_the_servers_user_can_change_is_not_followed() {
    let given = [
        ("metadata", "metadata/People", format!("chown -R {USER}:{USER} \"$1\"/metadata")),
        (
            "metadata",
            "metadata/People",
            format!("chgrp {USER} \"$1\"/metadata; chmod g+w \"$1\"/metadata"),
        ),
        ("data", "data/playlists", format!("chgrp {USER} \"$1\"/data; chmod g+w \"$1\"/data")),
    ];
    for (name, linked, gives) in given {
        let stage = Stage::new();
        sh(&format!("chown -hR 0:0 \"$1\"; {gives}"), &stage.data);
        stage.program.ok(&["snapshot", stage.at()]);
        std::fs::remove_dir_all(stage.data.join(linked)).unwrap();
        std::os::unix::fs::symlink(&stage.etc, stage.data.join(linked)).unwrap();
        sh(&format!("chown -h {USER}:{USER} \"$1\""), &stage.data.join(linked));
        let first = stage.program.json(&["list"]).0["snapshots"][0]["id"].clone();
        let first = first.as_str().unwrap();
        let (taken, code) = stage.program.json(&["snapshot", stage.at(), "--follow-roots"]);
        assert_eq!(code, 3, "{name}: {taken}");
        stage.assert_secret_in_no_snapshot(name);
        let args = ["restore", first, "--in-place", "--data-dir", stage.at(), "--same-directories"];
        for more in [&["--follow-roots", "--delete", "-y"][..], &[], &["--follow-roots", "-y"]] {
            stage.program.run(&[&args[..], more].concat());
            stage.assert_etc_is_roots(name);
        }
    }
}

#[test]
fn caches_that_are_links_to_the_servers_own_directories_are_told() {
    for (link, setting) in [("lnk", Some("lnk")), ("cache", None)] {
        let program = Program::new();
        let data = program.home.path().join("jf");
        copy_tree(&own_fixture(), &data);
        std::fs::remove_dir_all(data.join("cache")).ok();
        std::os::unix::fs::symlink(data.join("metadata/library"), data.join(link)).unwrap();
        if let Some(name) = setting {
            let settings = std::fs::read_to_string(data.join("config/system.xml")).unwrap();
            let path = format!(
                "<CachePath>{}</CachePath></ServerConfiguration>",
                data.join(name).display()
            );
            write(
                data.join("config/system.xml"),
                settings.replace("</ServerConfiguration>", &path),
            );
        }
        let (taken, code) = program.json(&["snapshot", text(&data)]);
        let told = taken["problems"].to_string();
        assert!(code == 3 && told.contains("counts as a cache"), "{link}: {taken}");
    }
}

#[test]
fn settings_that_cannot_be_read_are_named_whatever_stands_there() {
    for name in ["system.xml", "network.xml", "database.xml", "encoding.xml"] {
        for kind in ["directory", "device", "huge"] {
            let program = Program::new();
            let data = program.home.path().join("jf");
            copy_tree(&own_fixture(), &data);
            let file = data.join("config").join(name);
            std::fs::remove_file(&file).ok();
            match kind {
                "directory" => std::fs::create_dir(&file).unwrap(),
                "device" => std::os::unix::fs::symlink("/dev/zero", &file).unwrap(),
                _ => std::fs::File::create(&file).unwrap().set_len(17 << 20).unwrap(),
            }
            let (taken, code) = program.json(&["snapshot", text(&data)]);
            let told = taken["problems"].to_string();
            assert!(
                code == 3 && told.contains(&format!("config/{name}")),
                "{name} {kind}: {taken}"
            );
        }
    }
}

#[test]
fn an_endless_log_costs_no_database() {
    for log in ["data/jellyfin.db-wal", "data/jellyfin.db-journal"] {
        let program = Program::new();
        let data = program.home.path().join("jf");
        copy_tree(&own_fixture(), &data);
        for ending in ["-wal", "-shm", "-journal"] {
            std::fs::remove_file(data.join(format!("data/jellyfin.db{ending}"))).ok();
        }
        std::fs::File::create(data.join(log)).unwrap().set_len(4 << 40).unwrap();
        let (taken, _) = program.json(&["snapshot", text(&data)]);
        let files = &taken["snapshot"]["categories"]["database"]["files"];
        assert_eq!(files.as_u64(), Some(1), "{log}: {taken}");
        let to = program.home.path().join("to");
        program.run(&["restore", "latest", "--to", text(&to), "--only", "database"]);
        let db = rusqlite::Connection::open(to.join("data/jellyfin.db")).unwrap();
        let users: i64 = db.query_row("SELECT count(*) FROM Users", [], |row| row.get(0)).unwrap();
        assert!(users > 0);
    }
}

#[test]
fn a_name_of_a_table_forges_no_line() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE \"a\nFORGED line\" (x); INSERT INTO \"a\nFORGED line\" VALUES (1)",
    )
    .unwrap();
    drop(db);
    program.ok(&["snapshot", text(&data)]);
    for more in [&["-v"][..], &["--table", "a\nFORGED line"]] {
        let words = program.ok(&[&["diff", "latest~1", "latest", "--rows"][..], more].concat());
        assert!(words.contains("FORGED") && !words.contains("\nFORGED"), "{words}");
    }
}

#[test]
fn a_server_in_a_directory_that_others_can_enter_is_closed_to_them() {
    let program = Program::new();
    let to = program.home.path().join("to");
    std::fs::create_dir(&to).unwrap();
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
    program.ok(&["snapshot", text(&own_fixture())]);
    let (done, code) = program.json(&["restore", "latest", "--to", text(&to)]);
    assert!(code == 0 && done["remarks"].to_string().contains("other users"), "{done}");
    for name in ["data", "config", "plugins"] {
        let mode = std::fs::metadata(to.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    // Once more: nothing is left to do.
    let (again, _) = program.json(&["restore", "latest", "--to", text(&to)]);
    assert_eq!(again["files"]["written"].as_u64().unwrap_or(0), 0, "{again}");
}

#[test]
fn pictures_go_nowhere_where_the_server_does_not_look_for_them() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    let settings = std::fs::read_to_string(data.join("config/system.xml")).unwrap();
    let path = "<MetadataPath>/nowhere/pictures</MetadataPath>";
    assert!(settings.contains("<MetadataPath />"));
    write(data.join("config/system.xml"), settings.replace("<MetadataPath />", path));
    std::fs::remove_dir_all(data.join("metadata")).unwrap();
    let args = ["restore", "latest", "--in-place", "--data-dir", text(&data), "--only", "metadata"];
    for more in [&["--dry-run"][..], &[]] {
        let output = program.run(&[&args[..], more].concat());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1)
                && words.contains("/nowhere/pictures")
                && words.contains("--metadata-dir"),
            "{words}"
        );
        assert!(!data.join("metadata").exists());
    }
    let there = program.home.path().join("volume");
    std::fs::create_dir(&there).unwrap();
    program.ok(&[&args[..], &["--metadata-dir", text(&there)]].concat());
    assert!(there.join("library").is_dir());
}

/// Two servers in one repository: no command that changes something chooses one of them.
#[test]
fn which_of_two_servers_is_meant_is_asked() {
    let _alone = alone();
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    let (one, two) = (place("one"), place("two"));
    copy_tree(&own_fixture(), &one);
    copy_tree(&own_fixture(), &two);
    write(two.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    program.ok(&["snapshot", text(&one)]);
    program.ok(&["snapshot", text(&two)]);
    for args in [
        &["snapshot"][..],
        &["restore", "latest", "--watch-state", "--user", "ana"],
        &["move", "--map", "/media=/other", "--allow-missing"],
        &["export", "latest", "--to-jellyfin"],
    ] {
        let output = program.run(args);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && words.contains("2 servers"),
            "{args:?}: {words}"
        );
    }
    let (taken, code) = program.json(&["snapshot", "--server", text(&one)]);
    assert_eq!(
        (code, taken["snapshot"]["source"]["directories"]["programdata"].as_str()),
        (0, Some(text(&one)))
    );
}

#[test]
fn directories_two_levels_away_are_answered_with_the_right_one() {
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    for folder in ["a/b", "c", "ls"] {
        std::fs::create_dir_all(place(folder)).unwrap();
    }
    // The database lies elsewhere.
    copy_tree(&own_fixture(), &place("c/jf"));
    std::fs::rename(place("c/jf/data/jellyfin.db"), place("jellyfin.db")).unwrap();
    copy_tree(&own_fixture(), &place("a/b/jf"));
    // linuxserver.io's: settings beside the inner data.
    copy_tree(&own_fixture(), &place("ls/data"));
    for entry in std::fs::read_dir(place("ls/data/config")).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), place("ls").join(entry.file_name())).unwrap();
    }
    std::fs::remove_dir(place("ls/data/config")).unwrap();
    for (named, right) in [
        ("a", "a/b/jf"),
        ("a/b/jf/metadata/library", "a/b/jf"),
        ("c/jf/config", "c/jf"),
        ("c", "c/jf"),
        ("ls/data", "ls"),
    ] {
        let output = program.run(&["source", text(&place(named))]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let right = place(right);
        assert!(
            words.contains(&format!("Use {} instead", text(&right))),
            "{named} {right:?}: {words}"
        );
    }
}

#[test]
fn an_emptied_folder_of_plugins_is_told() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    assert_eq!(program.json(&["snapshot", text(&data)]).1, 0);
    std::fs::remove_dir_all(data.join("plugins")).unwrap();
    std::fs::create_dir(data.join("plugins")).unwrap();
    let (taken, code) = program.json(&["snapshot", text(&data)]);
    assert!(code == 3 && taken["problems"].to_string().contains("plugins"), "{taken}");
}

#[needs(root)]
#[test]
fn roots_files_are_not_read_as_settings_or_logs_through_links() {
    let stage = Stage::new();
    let place = "/root/very-secret-place";
    let settings =
        format!("<ServerConfiguration><MetadataPath>{place}</MetadataPath></ServerConfiguration>");
    let own = stage.etc.join("secret.xml");
    write(&own, &settings);
    let link = stage.data.join("config/system.xml");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&own, &link).unwrap();
    sh(&format!("chown -h {USER}:{USER} \"$1\""), &link);
    for args in [["snapshot", stage.at()], ["source", stage.at()]] {
        let output = stage.program.run(&args);
        let words = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&words).contains(place), "{args:?}");
    }
    // A link of root's, and one of the server's user to a file of their own, are followed.
    for owner in ["0:0".to_owned(), format!("{USER}:{USER}")] {
        sh(&format!("chown {owner} \"$1\""), &own);
        sh(&format!("chown -h {owner} \"$1\""), &link);
        let output = stage.program.run(&["source", stage.at()]);
        let words = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&words).contains(place), "{owner}");
    }
}
