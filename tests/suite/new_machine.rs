//! The disk died: a snapshot becomes a server on a machine that has none, in the layout that is
//! asked for, as the right user.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::support::*;

/// A program whose repository holds the attic as it ran in a container.
fn with_snapshot() -> Program {
    let program = Program::new();
    let data = program.home.path().join("lost");
    copy_tree(&own_fixture(), &data);
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    std::fs::remove_dir_all(&data).unwrap();
    program
}

fn same_files(program: &Program, args: &[&str]) {
    let (diff, code) = program.json(&[&["diff", "latest"], args].concat());
    assert_eq!(code, 0, "{diff}");
    for what in ["changes", "rows", "remarks"] {
        assert_eq!(diff[what], serde_json::json!([]), "{diff}");
    }
}

#[test]
fn an_empty_folder_becomes_the_server_and_the_user_is_told_how_it_is_started() {
    for is_made in [true, false] {
        let program = with_snapshot();
        let folder = program.home.path().join("new");
        if is_made {
            std::fs::create_dir(&folder).unwrap();
        }
        let folder = folder.to_str().unwrap();
        let before =
            program.json(&["restore", "latest", "--in-place", "--data-dir", folder, "--dry-run"]);
        assert_eq!((before.1, before.0["dry_run"].as_bool()), (0, Some(true)));
        assert_eq!(
            std::fs::read_dir(folder).map_or(0, Iterator::count),
            0,
            "a dry run writes nothing"
        );
        let done = program.run(&["restore", "latest", "--in-place", "--data-dir", folder]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("-v {folder}:/config")), "{said}");
        let expected = rows(&own_fixture().join("data/jellyfin.db"));
        assert!(!expected.is_empty());
        assert_eq!(rows(&Path::new(folder).join("data/jellyfin.db")), expected);
        same_files(&program, &["--data-dir", folder]);
    }
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let program = with_snapshot();
    let folder = program.home.path().join("photos");
    write(folder.join("holiday.jpg"), "a picture");
    let args = ["restore", "latest", "--in-place", "--data-dir", folder.to_str().unwrap()];
    let (refused, code) = program.json(&args);
    assert_eq!(code, 2, "{refused}");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("is not empty and does not look like a Jellyfin data directory"),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let (report, code) = program.json(&[&args[..], &["--layout", "docker"]].concat());
    assert_eq!(code, 0, "{report}");
    assert_eq!(std::fs::read(folder.join("holiday.jpg")).unwrap(), b"a picture");
}

#[test]
fn each_layout_is_made_below_a_folder_and_read_back_as_that_server() {
    let program = with_snapshot();
    let layouts = [
        ("docker", "", "config", "data"),
        ("linuxserver", "data", "", "data/data"),
        ("debian", "var/lib/jellyfin", "etc/jellyfin", "var/lib/jellyfin/data"),
        ("portable", "", "config", "data"),
    ];
    for (layout, program_data, config, data) in layouts {
        let out = program.home.path().join(layout);
        let (report, code) =
            program.json(&["restore", "latest", "--to", out.to_str().unwrap(), "--layout", layout]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(
            rows(&out.join(data).join("jellyfin.db")),
            rows(&own_fixture().join("data/jellyfin.db")),
            "{layout}"
        );
        assert!(out.join(config).join("system.xml").is_file(), "{layout}");
        let (data_dir, config_dir) = (out.join(program_data), out.join(config));
        same_files(
            &program,
            &[
                "--data-dir",
                data_dir.to_str().unwrap(),
                "--config-dir",
                config_dir.to_str().unwrap(),
            ],
        );
    }
}

#[test]
fn a_server_that_lost_its_database_or_its_configuration_gets_it_back() {
    for lost in ["data/jellyfin.db", "config", "data"] {
        let program = with_snapshot();
        let folder = program.home.path().join("half");
        copy_tree(&own_fixture(), &folder);
        let lost = folder.join(lost);
        if lost.is_dir() { std::fs::remove_dir_all(&lost) } else { std::fs::remove_file(&lost) }
            .unwrap();
        let folder = folder.to_str().unwrap();
        let (report, code) =
            program.json(&["restore", "latest", "--in-place", "--data-dir", folder]);
        assert_eq!(code, 0, "{} {report}", lost.display());
        same_files(&program, &["--data-dir", folder]);
    }
}

#[test]
fn files_belong_to_whom_the_target_belongs_or_to_whom_the_user_says() {
    // Only root gives files away; everybody else's are his own, whatever the options say.
    let is_root = rustix::process::geteuid().is_root();
    let program = with_snapshot();
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let was = {
        let facts = std::fs::metadata(own_fixture()).unwrap();
        if is_root { (facts.uid(), facts.gid()) } else { me }
    };
    let cases: [(&[&str], (u32, u32)); 4] = [
        (&["--owner", "4711:4712"], (4711, 4712)),
        (&["--owner", "keep"], was),
        (&["--no-owner"], me),
        (&[], (4713, 4714)),
    ];
    for (number, (args, expected)) in cases.into_iter().enumerate() {
        let folder = program.home.path().join(format!("owner-{number}"));
        std::fs::create_dir(&folder).unwrap();
        if is_root {
            std::os::unix::fs::chown(&folder, Some(4713), Some(4714)).unwrap();
        }
        let expected = if is_root { expected } else { me };
        program.ok(&[
            &["restore", "latest", "--in-place", "--data-dir", folder.to_str().unwrap()],
            args,
        ]
        .concat());
        for file in ["data/jellyfin.db", "config/system.xml", "metadata/library"] {
            let facts = std::fs::metadata(folder.join(file)).unwrap();
            assert_eq!((facts.uid(), facts.gid()), expected, "{args:?} {file}");
        }
    }
    for wrong in ["jellyfin", "1000", "1000:x", "-1:0", ""] {
        let (refused, code) =
            program.json(&["restore", "latest", "--to", "x", &format!("--owner={wrong}")]);
        assert_eq!(code, 2, "{wrong} {refused}");
    }
}

#[test]
fn a_packages_server_in_other_directories_is_told_with_its_settings() {
    let program = with_snapshot();
    let (data, config, to) = (
        program.home.path().join("data"),
        program.home.path().join("etc"),
        program.home.path().join("tree"),
    );
    let [data_dir, config_dir, to_dir] = [&data, &config, &to].map(|dir| dir.to_str().unwrap());
    let in_place =
        ["restore", "latest", "--in-place", "--layout", "debian", "--data-dir", data_dir];
    // Nothing tells where the configuration goes.
    let (refused, code) = program.json(&in_place);
    assert!(
        code == 2
            && refused["error"]["hint"].as_str().unwrap().contains("--config-dir")
            && !data.exists(),
        "{refused}"
    );
    let cases = [
        (
            [&in_place[..], &["--config-dir", config_dir, "--same-directories"]].concat(),
            data_dir.to_owned(),
            config_dir.to_owned(),
        ),
        (
            vec!["restore", "latest", "--to", to_dir, "--layout", "debian"],
            format!("{to_dir}/var/lib/jellyfin"),
            format!("{to_dir}/etc/jellyfin"),
        ),
    ];
    for (args, data, config) in cases {
        let (done, code) = program.json(&args);
        assert_eq!(code, 0, "{done}");
        let start = done["start"].as_str().unwrap_or_else(|| panic!("{done}"));
        for needed in [
            format!("JELLYFIN_DATA_DIR=\"{data}\""),
            format!("JELLYFIN_CONFIG_DIR=\"{config}\""),
            "/etc/default/jellyfin".to_owned(),
        ] {
            assert!(start.contains(&needed), "{start}");
        }
        // With these settings the server is found, and it is the one of the snapshot.
        let mut command = program.command(&["--json", "source"]);
        let output = command
            .env("JELLYFIN_DATA_DIR", &data)
            .env("JELLYFIN_CONFIG_DIR", &config)
            .output()
            .unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["instance"]["paths"]["config"], config, "{found}");
        assert!(Path::new(&config).join("system.xml").is_file());
    }
}

#[test]
fn a_metadata_directory_of_its_own_that_the_target_does_not_name_is_refused_before_anything_is_written()
 {
    let program = Program::new();
    let (lost, pictures) = (program.home.path().join("lost"), program.home.path().join("pictures"));
    copy_tree(&own_fixture(), &lost);
    std::fs::rename(lost.join("metadata"), &pictures).unwrap();
    let settings = std::fs::read_to_string(lost.join("config/system.xml")).unwrap();
    let element =
        format!("<MetadataPath>{}</MetadataPath></ServerConfiguration>", pictures.display());
    write(
        lost.join("config/system.xml"),
        settings.replace("<MetadataPath />", "").replace("</ServerConfiguration>", &element),
    );
    let (taken, code) = program.json(&["snapshot", lost.to_str().unwrap()]);
    assert_eq!(code, 0, "{taken}");
    std::fs::remove_dir_all(&lost).unwrap();
    std::fs::remove_dir_all(&pictures).unwrap();
    let new = program.home.path().join("new");
    let dir = new.to_str().unwrap();
    for args in [
        vec!["restore", "latest", "--in-place", "--data-dir", dir],
        vec![
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            dir,
            "--layout",
            "docker",
            "--dry-run",
        ],
        vec!["restore", "latest", "--to", dir, "--layout", "portable"],
    ] {
        let (refused, code) = program.json(&args);
        assert_eq!(code, 2, "{refused}");
        assert!(
            refused["error"]["hint"].as_str().unwrap().contains("--metadata-dir")
                && refused.to_string().contains("nothing was changed"),
            "{refused}"
        );
        assert!(!new.exists() && !pictures.exists(), "{args:?}");
    }
    let (done, code) = program.json(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        dir,
        "--metadata-dir",
        pictures.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{done}");
    assert!(pictures.join("library").is_dir());
}
