//! The recipes of `docs/recipes.md` and `docs/moving.md`, typed as they stand there, and the
//! session that the README shows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use needs::needs;

use super::support::*;

fn page(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of a recipe, with the places of this test in place of the page's.
fn recipe(name: &str, places: &Places) -> Vec<String> {
    let pages = ["docs/recipes.md", "docs/moving.md"].map(page);
    let blocks = pages.iter().flat_map(|page| page.split("```").skip(1).step_by(2));
    let blocks: Vec<&str> =
        blocks.filter(|block| block.contains(&format!("# recipe: {name}\n"))).collect();
    assert!(!blocks.is_empty(), "no recipe is called {name}");
    blocks.into_iter().map(|block| places.put(block.split_once('\n').unwrap().1)).collect()
}

struct Places {
    home: tempfile::TempDir,
}

impl Places {
    /// A server, and a repository with a snapshot of it.
    fn new() -> Places {
        let places = Places { home: temp() };
        copy_tree(&own_fixture(), &places.server());
        std::fs::create_dir_all(places.home.path().join("backup")).unwrap();
        std::fs::create_dir_all(places.home.path().join("second")).unwrap();
        let_settle();
        assert!(places.run("jellyvault snapshot \"$SERVER\" --quiet").status.success());
        places
    }

    fn server(&self) -> PathBuf {
        self.home.path().join("jellyfin")
    }

    /// The places of this test in place of the page's.
    fn put(&self, block: &str) -> String {
        let home = self.home.path().to_str().unwrap();
        block
            .replace("/mnt/backup/jellyvault", &format!("{home}/backup/jellyvault"))
            .replace("/mnt/second", &format!("{home}/second"))
            .replace("/mnt/usb", &format!("{home}/usb"))
            .replace("/tmp/try", &format!("{home}/try"))
            .replace("/srv/jellyfin", &format!("{home}/jellyfin"))
            .replace("/srv/new", &format!("{home}/new"))
            .replace("/srv/linuxserver", &format!("{home}/linuxserver"))
            .replace("/srv/media", &format!("{home}/media"))
            .replace("/mnt/nas", &format!("{home}/nas"))
            // The package's directories: elsewhere the second one must be named, too.
            .replace("/var/lib/jellyfin", &format!("{home}/lib --config-dir {home}/etc"))
    }

    /// The configuration names the server, as `jellyvault setup` writes it. Elsewhere the server is
    /// found because it runs.
    fn configure(&self) {
        write(
            self.home.path().join(".config/jellyvault/config.toml"),
            format!("[server]\ndata_dir = {:?}\n", self.server()),
        );
    }

    fn run(&self, script: &str) -> Output {
        // The program is on the path, as it is where it was installed.
        let bin = self.home.path().join("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).unwrap();
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_jellyvault"), bin.join("jellyvault"))
                .unwrap();
        }
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(script)
            .env_clear()
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .env("SERVER", self.server());
        command
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("JELLYVAULT_REPO", self.home.path().join("backup/jellyvault"));
        command.output().unwrap()
    }

    /// Runs all blocks of a recipe; each command must succeed.
    fn follow(&self, name: &str) -> String {
        let mut said = String::new();
        for block in recipe(name, self) {
            let done = self.run(&format!("set -e\n{block}"));
            assert!(done.status.success(), "{block}: {done:?}");
            said.push_str(&String::from_utf8_lossy(&done.stdout));
            said.push_str(&String::from_utf8_lossy(&done.stderr));
        }
        said
    }
}

#[test]
fn nightly_says_nothing_when_all_is_well_and_alerts_by_exit_code() {
    let places = Places::new();
    let [script] = recipe("nightly", &places).try_into().unwrap();
    let well = places.run(&script);
    assert_eq!(
        (well.status.code(), well.stdout.len(), well.stderr.len()),
        (Some(0), 0, 0),
        "{well:?}"
    );
    // Something is odd: done, with problems.
    write(places.server().join("config/network.xml"), "");
    let odd = places.run(&script);
    assert_eq!(odd.status.code(), Some(3), "{odd:?}");
    assert!(
        String::from_utf8_lossy(&odd.stdout)
            .contains("done, with problems: snapshot 3, forget 0, check 0"),
        "{odd:?}"
    );
    // The disk is away.
    std::fs::remove_dir_all(places.home.path().join("backup")).unwrap();
    let away = places.run(&script);
    assert_eq!(away.status.code(), Some(1), "{away:?}");
    assert!(
        String::from_utf8_lossy(&away.stdout).contains("FAILED")
            && String::from_utf8_lossy(&away.stderr).contains("is missing"),
        "{away:?}"
    );
    assert!(!places.home.path().join("backup").exists());
}

#[test]
fn units_name_a_command_that_works() {
    let places = Places::new();
    let units = recipe("systemd", &places);
    assert_eq!(units.len(), 3);
    let command =
        units[0].lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
    assert!(places.run(command).status.success());
    let compose = recipe("compose", &places).concat();
    assert!(compose.contains("jellyvault snapshot /config --quiet ||"));
}

#[needs(systemd)]
#[test]
fn units_are_what_systemd_takes() {
    let places = Places::new();
    let folder = places.home.path().join("units");
    for unit in &recipe("systemd", &places) {
        let name =
            unit.lines().find_map(|line| line.strip_prefix("# /etc/systemd/system/")).unwrap();
        write(folder.join(name), unit);
    }
    let mut verify = Command::new("systemd-analyze");
    verify
        .arg("verify")
        .arg(folder.join("jellyvault.timer"))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
    let said = String::from_utf8(verify.output().unwrap().stderr).unwrap();
    assert!(
        said.lines().all(|line| !line.contains("jellyvault") || line.contains("is not executable")),
        "{said}"
    );
}

#[test]
fn before_an_upgrade_and_back() {
    let places = Places::new();
    let said = places.follow("upgrade");
    assert!(said.contains("restored in place"), "{said}");
    // A second time the label is taken, which is said before anything is stored.
    let block = &recipe("upgrade", &places)[0];
    assert_eq!(places.run(block).status.code(), Some(2));
}

#[test]
fn a_dead_disk_a_new_machine_a_poster_and_a_user() {
    let places = Places::new();
    let expected = rows(&places.server().join("data/jellyfin.db"));
    std::fs::remove_dir_all(places.server()).unwrap();
    let said = places.follow("dead disk");
    assert!(said.contains("Start the container"), "{said}");
    assert_eq!(rows(&places.server().join("data/jellyfin.db")), expected);
    places.follow("new machine");
    assert_eq!(rows(&places.home.path().join("new/data/jellyfin.db")), expected);
    let poster =
        places.server().join("metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927/poster.jpg");
    std::fs::remove_file(&poster).unwrap();
    assert!(places.follow("poster").contains("film"));
    assert!(poster.is_file());
    assert!(places.follow("user").contains("root"));
}

#[test]
fn films_that_a_scan_removed_and_posters_that_were_replaced_come_back() {
    let places = Places::new();
    let database = places.server().join("data/jellyfin.db");
    let expected = rows(&database);
    run_sql(&database, "PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Type LIKE '%Movie'");
    assert_ne!(rows(&database), expected);
    let_settle();
    assert!(
        places
            .run("jellyvault snapshot \"$SERVER\" --quiet")
            .status
            .code()
            .is_some_and(|code| code == 0 || code == 3)
    );
    let said = places.follow("films gone");
    assert!(said.contains("films gone") && said.contains("restored in place"), "{said}");
    assert_eq!(rows(&database), expected);
    // Each poster is another one, some under another name.
    let posters = |dir: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let all = walkdir::WalkDir::new(dir.join("metadata/library"))
            .sort_by_file_name()
            .into_iter()
            .map(Result::unwrap);
        let all = all.filter(|entry| entry.file_name().to_string_lossy().starts_with("poster."));
        all.map(|entry| {
            (
                entry.path().strip_prefix(dir).unwrap().to_path_buf(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
    };
    let good = posters(&places.server());
    for (number, (path, _)) in good.iter().enumerate() {
        let place = places.server().join(path);
        std::fs::remove_file(&place).unwrap();
        write(if number % 2 == 0 { place.with_extension("png") } else { place }, "another poster");
    }
    let_settle();
    assert!(places.run("jellyvault snapshot \"$SERVER\" --quiet").status.success());
    let said = places.follow("all posters");
    assert!(said.contains("restored in place"), "{said}");
    assert_eq!(posters(&places.server()), good);
}

/// The media that the library of the fixture names, as empty files with the times that it has.
fn media_at(places: &Places, target: &str) -> PathBuf {
    let media = places.home.path().join(target);
    make_media(&places.server().join("data/jellyfin.db"), "/media", &media);
    media
}

/// The library's folder of films, and how many items it has.
fn films(data: &Path) -> (String, usize) {
    let link = std::fs::read_to_string(data.join("root/default/Films/movies.mblink")).unwrap();
    let items = rows(&data.join("data/jellyfin.db"))
        .into_iter()
        .filter(|row| row.contains(&format!("{link}/")))
        .count();
    (link, items)
}

#[test]
fn a_container_becomes_a_package_and_a_container_again() {
    let places = Places::new();
    let media = media_at(&places, "media");
    let before = films(&places.server());
    assert!(before.0 == "/media/movies" && before.1 > 0);
    assert!(places.run(&places.put("jellyvault snapshot /srv/jellyfin --quiet")).status.success());
    let at_the_old_path = recipe("docker to debian", &places)[1]
        .replace(&format!("--map /media={}", media.display()), "");
    let refused = places.run(&at_the_old_path);
    assert!(
        refused.status.code() == Some(1)
            && String::from_utf8_lossy(&refused.stderr).contains("not where the server will look"),
        "{refused:?}"
    );
    let said = places.follow("docker to debian");
    assert!(
        said.contains("30 of 73 items would get a new id")
            && said.contains("Media found at its new path: 30 of 30"),
        "{said}"
    );
    assert!(said.contains("systemctl start jellyfin"), "{said}");
    let package = places.home.path().join("lib");
    assert_eq!(films(&package), (format!("{}/movies", media.display()), before.1));
    // And back into an empty directory.
    std::fs::remove_dir_all(places.server()).unwrap();
    let said = places.follow("debian to docker");
    assert!(
        said.contains("jellyvault did not look for the media")
            && said.contains("Start the container"),
        "{said}"
    );
    assert_eq!(films(&places.server()), before);
}

#[test]
fn a_container_becomes_one_of_linuxserver() {
    let places = Places::new();
    let said = places.follow("docker to linuxserver");
    assert!(
        said.contains("0 of 73 items would get a new id")
            && said.contains("at the same paths as before"),
        "{said}"
    );
    assert_eq!(films(&places.home.path().join("linuxserver/data")), films(&places.server()));
}

#[test]
fn media_on_a_new_nas_is_followed_and_the_move_is_undone() {
    let places = Places::new();
    media_at(&places, "media");
    places.follow("docker to debian");
    let package = places.home.path().join("lib");
    let before = rows(&package.join("data/jellyfin.db"));
    // A path of no library is said, and changes nothing.
    let typo = places.run(&places.put(
        "jellyvault move --data-dir /var/lib/jellyfin --map /srv/medien=/mnt/nas/media --dry-run",
    ));
    let said = String::from_utf8_lossy(&typo.stderr);
    assert!(
        said.contains("nothing of the library lies in /srv/medien")
            && said.contains("media/movies"),
        "{typo:?}"
    );
    let nas = media_at(&places, "nas/media");
    let said = places.follow("new nas");
    assert!(
        said.contains("Media found at its new path: 30 of 30") && said.contains("To undo: "),
        "{said}"
    );
    assert_eq!(films(&package).0, format!("{}/movies", nas.display()));
    let [undo, restore] = recipe("undo a move", &places).try_into().unwrap();
    let undone = places.run(&undo);
    assert!(
        String::from_utf8_lossy(&undone.stdout).contains("The state before the move was restored"),
        "{undone:?}"
    );
    assert_eq!(rows(&package.join("data/jellyfin.db")), before);
    // After another attempt, which is refused, the snapshot of the first step is the way back.
    assert!(places.run(&recipe("new nas", &places)[1]).status.success());
    let refused = places
        .run(&places.put(
            "jellyvault move --data-dir /var/lib/jellyfin --map /mnt/nas/media=/mnt/nas/typo",
        ));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(places.run(&restore).status.success());
    assert_eq!(rows(&package.join("data/jellyfin.db")), before);
}

#[needs(rsync)]
#[test]
fn a_server_goes_to_a_new_machine_by_a_copy_of_the_repository() {
    let places = Places::new();
    std::fs::create_dir(places.home.path().join("usb")).unwrap();
    let media = media_at(&places, "media");
    places.follow("new machine, old side");
    let items = films(&places.server()).1;
    // The old machine is far away.
    std::fs::remove_dir_all(places.server()).unwrap();
    std::fs::remove_dir_all(places.home.path().join("backup")).unwrap();
    let said = places.follow("new machine, new side");
    assert!(said.contains("Media found at its new path: 30 of 30"), "{said}");
    assert_eq!(
        films(&places.home.path().join("lib")),
        (format!("{}/movies", media.display()), items)
    );
}

#[test]
fn a_zip_for_another_servers_dashboard_says_whom_it_fits() {
    let places = Places::new();
    let said: String = recipe("zip", &places)
        .iter()
        .map(|block| {
            let done = places.run(&format!("set -e; cd\n{block}"));
            assert!(done.status.success(), "{block}: {done:?}");
            String::from_utf8_lossy(&done.stdout).into_owned()
        })
        .collect();
    assert!(
        said.contains(
            "Fits: Jellyfin 12.0.0 or newer with the directories cache /var/cache/jellyfin"
        ),
        "{said}"
    );
    assert!(places.home.path().join("moved.zip").is_file());
}

#[needs(rsync)]
#[test]
fn a_copy_elsewhere_proves_itself() {
    let places = Places::new();
    assert!(places.follow("copy").contains("No problems found"));
}

#[test]
fn the_commands_at_a_glance_work() {
    let places = Places::new();
    places.configure();
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zips/extremes-12.0.zip");
    std::fs::create_dir(places.home.path().join("backups")).unwrap();
    std::fs::copy(fixture, places.home.path().join("backups/one.zip")).unwrap();
    std::fs::create_dir(places.home.path().join("usb")).unwrap();
    let page = page("docs/recipes.md");
    let commands: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |")?.split_once("| `"))
        .map(|(_, command)| command)
        .collect();
    assert_eq!(commands.len(), 10);
    for command in commands {
        // Other tests do these two: the one needs FUSE, the other asks for a passphrase at a
        // terminal.
        if command.contains(" mount ") || command.contains(" init ") {
            continue;
        }
        let done = places.run(&format!("cd; {}", places.put(command)));
        assert!(done.status.success(), "{command}: {done:?}");
    }
}

#[test]
fn the_commands_of_the_readme_work() {
    let places = Places::new();
    places.configure();
    let page = page("README.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Quick start\n")).unwrap();
    let blocks: Vec<&str> = section
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.strip_prefix("bash\n").unwrap())
        .collect();
    let inline = section
        .split("```")
        .step_by(2)
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .filter(|code| code.starts_with("jellyvault "));
    let commands: Vec<&str> = blocks.into_iter().chain(inline).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let done = places.run(&format!("set -e\n{}", places.put(command)));
        assert!(done.status.success(), "{command}: {done:?}");
    }
}

/// The picture is drawn of a recording. This runs the same commands again.
#[needs(python)]
#[test]
fn the_picture_of_the_readme_shows_what_the_program_prints() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images/session.py");
    let done = Command::new(super::reader::python())
        .arg(script)
        .args(["--check", env!("CARGO_BIN_EXE_jellyvault")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
