//! What the second testers' lists still had: places that only the settings name, another server in
//! the place of one that is away, pictures of users, answers that nobody can read.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use needs::needs;

use super::support::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A container's server whose settings name its pictures and its database by its own paths.
fn with_places_elsewhere(volume: &Path, pictures: &Path, ssd: &Path) {
    copy_tree(&own_fixture(), volume);
    std::fs::rename(volume.join("metadata"), pictures).unwrap();
    // As a server writes it that had this setting from its first day.
    let db = rusqlite::Connection::open(volume.join("data/jellyfin.db")).unwrap();
    db.execute(
        "UPDATE BaseItemImageInfos SET Path = replace(Path, '/config/metadata/', '/mnt/pictures/')",
        [],
    )
    .unwrap();
    db.execute(
        "UPDATE Chapters SET ImagePath = replace(ImagePath, '/config/metadata/', '/mnt/pictures/')",
        [],
    )
    .unwrap();
    drop(db);
    std::fs::create_dir(ssd).unwrap();
    for name in ["jellyfin.db", "jellyfin.db-wal", "jellyfin.db-shm"] {
        let file = volume.join("data").join(name);
        if file.exists() {
            std::fs::rename(file, ssd.join(name)).unwrap();
        }
    }
    let settings = std::fs::read_to_string(volume.join("config/system.xml")).unwrap();
    let element = "<MetadataPath>/mnt/pictures</MetadataPath></ServerConfiguration>";
    write(
        volume.join("config/system.xml"),
        settings.replace("<MetadataPath />", "").replace("</ServerConfiguration>", element),
    );
    let database = "<DatabaseConfigurationOptions><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options>\
                    <CustomDatabaseOption><Key>path</Key><Value>/ssd/jellyfin.db</Value></CustomDatabaseOption></Options>\
                    </CustomProviderOptions></DatabaseConfigurationOptions>";
    write(volume.join("config/database.xml"), database);
}

#[test]
fn places_are_named_as_the_servers_settings_name_them() {
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    let (volume, pictures, ssd) = (place("volume"), place("pictures"), place("ssd"));
    with_places_elsewhere(&volume, &pictures, &ssd);
    let database = ssd.join("jellyfin.db");
    let places = ["--metadata-dir", text(&pictures), "--database", text(&database)];
    let (taken, code) = program.json(&[&["snapshot", text(&volume)][..], &places].concat());
    assert_eq!(code, 0, "{taken}");
    let (shown, _) = program.json(&["show", "latest"]);
    let seen = &shown["snapshot"]["source"]["seen_by_server"];
    assert!(
        seen["metadata"] == "/mnt/pictures" && seen["database"] == "/ssd/jellyfin.db",
        "{shown}"
    );
    // The zip's advice names the path that the dashboard must be given.
    let zip = place("x.zip");
    let (told, _) = program.json(&["export", "latest", text(&zip)]);
    assert!(told["remarks"].to_string().contains("/mnt/pictures"), "{told}");
    let restore = ["restore", "latest", "--in-place", "--layout", "docker", "--data-dir"];
    let new = place("new");
    for (given, then) in [(&places[..0], "/mnt/pictures"), (&places[..2], "/ssd/jellyfin.db")] {
        let (refused, code) = program.json(&[&restore[..], &[text(&new)], given].concat());
        assert!(
            code == 2 && refused["error"]["hint"].as_str().unwrap().contains(then),
            "{refused}"
        );
    }
    let (done, code) = program.json(&[&restore[..], &[text(&new)], &places].concat());
    let start = done["start"].as_str().unwrap_or_else(|| panic!("{done}"));
    assert_eq!(code, 0, "{done}");
    for volume in [
        format!("-v {}:/config", new.display()),
        format!("-v {}:/mnt/pictures", pictures.display()),
        format!("-v {}:/ssd", ssd.display()),
    ] {
        assert!(start.contains(&volume), "{start}");
    }
}

#[test]
fn another_server_is_not_taken_for_one_whose_disk_is_away() {
    let _alone = alone();
    let program = Program::new();
    let (own, away) = (program.home.path().join("own"), program.home.path().join("away"));
    let other = program.home.path().join("other");
    copy_tree(&own_fixture(), &own);
    copy_tree(&own_fixture(), &other);
    write(other.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    program.ok(&["snapshot", text(&own)]);
    std::fs::rename(&own, &away).unwrap();
    let snapshot = || {
        let mut command = program.command(&["snapshot", "--json"]);
        let output = command.env("JELLYFIN_DATA_DIR", &other).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (refused, code) = snapshot();
    assert!(
        code == Some(1) && refused.contains(text(&own)) && refused.contains(text(&other)),
        "{refused}"
    );
    assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
    // Who names it means it, and from then on it is known.
    program.ok(&["snapshot", text(&other)]);
    let (taken, code) = snapshot();
    assert_eq!(code, Some(0), "{taken}");
}

#[test]
fn a_users_picture_that_the_database_does_not_name_is_told() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    let of_ana = data.join("config/users/Ana");
    std::fs::rename(of_ana.join("profile.png"), of_ana.join("profile.jpg")).unwrap();
    let restore = ["restore", "latest", "--in-place", "--data-dir", text(&data)];
    for more in [
        &["--only", "config", "--dry-run"][..],
        &["--path", "config/users/Ana/profile.png"],
        &["--only", "config", "--delete"],
    ] {
        let (done, code) = program.json(&[&restore[..], more].concat());
        assert!(
            code == 0
                && done["remarks"]
                    .to_string()
                    .contains("profile.jpg of the user Ana (profile.png)"),
            "{more:?}: {done}"
        );
        write(of_ana.join("profile.jpg"), "new");
    }
    let (done, _) = program.json(&[&restore[..], &["--only", "config,database"]].concat());
    assert!(!done["remarks"].to_string().contains("profile.jpg"), "{done}");
}

#[test]
fn a_linked_database_is_not_left_behind_by_keep_old() {
    let program = Program::new();
    let (data, ssd) = (program.home.path().join("jf"), program.home.path().join("ssd"));
    copy_tree(&own_fixture(), &data);
    std::fs::create_dir(&ssd).unwrap();
    for name in ["jellyfin.db", "jellyfin.db-wal"] {
        std::fs::rename(data.join("data").join(name), ssd.join(name)).unwrap();
    }
    symlink(ssd.join("jellyfin.db"), data.join("data/jellyfin.db")).unwrap();
    program.ok(&["snapshot", text(&data)]);
    let restore = ["restore", "latest", "--in-place", "--data-dir", text(&data)];
    for dry in [&["--dry-run"][..], &[]] {
        let (refused, code) = program.json(&[&restore[..], &["--keep-old"], dry].concat());
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(code == 1 && message.contains("is a link to the database"), "{refused}");
    }
    // What does not touch it may be kept.
    program.ok(&[&restore[..], &["--keep-old", "--only", "plugins"]].concat());
    program.ok(&restore);
    assert!(data.join("data/jellyfin.db").is_symlink());
}

#[needs(chattr)]
#[test]
fn a_directory_that_cannot_be_changed_is_seen_before_the_first_write() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    let to = program.home.path().join("to");
    std::fs::create_dir(&to).unwrap();
    let chattr =
        |flag: &str| assert!(Command::new("chattr").arg(flag).arg(&to).status().unwrap().success());
    chattr("+i");
    let answers: Vec<_> = [&["--dry-run"][..], &[]]
        .iter()
        .map(|dry| program.json(&[&["restore", "latest", "--to", text(&to)], *dry].concat()))
        .collect();
    chattr("-i");
    for (refused, code) in answers {
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(code == 1 && message.contains("immutable"), "{refused}");
    }
}

/// The answer meets a full disk, and the work is done.
#[test]
fn work_whose_answer_is_lost_is_told_as_done() {
    let program = Program::new();
    let place = |name: &str| program.home.path().join(name);
    program.ok(&["snapshot", text(&own_fixture())]);
    let (zip, copy, other, to) = (place("x.zip"), place("copy"), place("other"), place("to"));
    Program { repo: other.clone(), ..Program::new() }.ok(&["init"]);
    let steps: [(&[&str], &str); 9] = [
        (&["export", "latest", text(&zip)], "was written"),
        (&["import", text(&zip), "--label", "zip"], "was imported"),
        (&["keep", "latest"], "were changed"),
        (&["sync", "--to", text(&copy)], "was synced"),
        (&["copy", "--to", text(&other)], "were copied"),
        (&["restore", "latest", "--to", text(&to)], "was restored"),
        (&["keep", "--off", "latest"], "were changed"),
        (&["forget", "latest"], "Forgot 1 snapshot"),
        (&["prune"], "was deleted"),
    ];
    for (args, done) in steps {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = program.command(args).stdout(full).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1)
                && words.contains(done)
                && words.contains("could not be written"),
            "{args:?}: {words}"
        );
    }
    assert!(zip.exists() && copy.exists() && other.exists() && to.join("config").exists());
}
