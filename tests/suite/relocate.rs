//! A server moves: other directories, media at another path. What comes out is held against an
//! oracle that was written from the rules alone (`tests/oracle`), and against the way back.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use needs::needs;
use proptest::prelude::*;
use serde_json::Value;

use super::support::*;

/// States of real servers, each with all its rows in the server's own database.
fn states() -> Vec<(&'static str, PathBuf)> {
    let state = |name: &'static str, of: &str| (name, servers(of).join(name).join("data"));
    vec![
        state("10.11.6", "attic-servers"),
        state("10.11.11", "attic-servers"),
        state("12.0", "attic-servers"),
        state("day2", "attic-servers"),
        state("day3", "attic-servers"),
        ("10.10 upgraded", servers("cellar-10.10").join("10.11.11/data")),
    ]
}

/// Moves that differ in what they touch.
const MOVES: [&[&str]; 8] = [
    &["--map", "/media=/media2"],
    &["--map", "/media=/mnt/a 'b' \"c\" & <d> Ü"],
    &["--map-layout", "debian"],
    &["--map-layout", "linuxserver", "--map", "/media=/srv/media"],
    &["--map", "/media/movies=/films", "--map", "/media/shows=/media/movies"],
    &["--map", "/media=/media/inner"],
    &["--map", "/media/movies=/media/shows", "--map", "/media/shows=/media/movies"],
    &["--map-layout", "debian", "--map", "/media=/var/lib/jellyfin-media"],
];

fn oracle(args: &[&str]) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/moving_oracle.py");
    Command::new(super::reader::python()).arg("-B").arg(script).args(args).output().unwrap()
}

/// The plan of a dry run, also as the oracle reads it.
fn plan(program: &Program, args: &[&str]) -> (Value, PathBuf) {
    let (answer, code) =
        program.json(&[&["restore", "latest", "--to", "nowhere", "--dry-run"], args].concat());
    assert!(matches!(code, 0 | 3), "{answer}");
    let plan = answer["plan"].clone();
    let names = ["programdata", "config", "data", "root", "metadata", "plugins", "cache", "log"];
    let dirs = |of: &str| -> Value {
        plan[of]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(n, d)| (n.clone(), d.clone()))
            .collect()
    };
    let file = program.home.path().join("plan.json");
    write(
        &file,
        serde_json::json!({"from": dirs("from"), "to": dirs("to"), "map": plan["map"]}).to_string(),
    );
    (plan, file)
}

/// Asserts that a moved snapshot is what the oracle makes of the same tree; how many ids changed.
fn assert_as_the_oracle_says(program: &Program, original: &Path, args: &[&str]) -> u64 {
    let (plan, file) = plan(program, args);
    let [moved, expected] = ["moved", "expected"].map(|name| program.home.path().join(name));
    let (report, _) =
        program.json(&[&["restore", "latest", "--to", moved.to_str().unwrap()], args].concat());
    assert_eq!(report["plan"]["new_ids"], plan["new_ids"], "{report}");
    assert_eq!(report["plan"]["rows"], plan["rows"], "the dry run said so");
    let [file, original, moved_text, expected_text] =
        [&file, original, &moved, &expected].map(|path| path.to_str().unwrap());
    let applied = oracle(&["apply", file, original, expected_text]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let compared = oracle(&["compare", file, expected_text, moved_text]);
    assert!(
        compared.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&compared.stdout),
        String::from_utf8_lossy(&compared.stderr)
    );
    // A comparison that finds nothing must be able to.
    if plan["rows"] != serde_json::json!({}) {
        assert_eq!(oracle(&["compare", file, original, moved_text]).status.code(), Some(1));
    }
    std::fs::remove_dir_all(moved).unwrap();
    std::fs::remove_dir_all(expected).unwrap();
    plan["new_ids"].as_u64().unwrap()
}

/// A program with one snapshot of a state, and the tree of it.
pub(super) fn with_state(data: &Path) -> (Program, PathBuf) {
    let program = Program::new();
    let copy = program.home.path().join("jellyfin");
    copy_tree(data, &copy);
    let_settle();
    program.run(&["snapshot", copy.to_str().unwrap()]);
    let original = program.home.path().join("original");
    program.ok(&["restore", "latest", "--to", original.to_str().unwrap()]);
    (program, original)
}

#[needs(python)]
#[test]
fn every_state_of_a_real_server_moves_as_the_rules_say() {
    for (number, (name, data)) in states().into_iter().enumerate() {
        let (program, original) = with_state(&data);
        // Each state with half of the moves: all pairs take minutes.
        for (at, args) in MOVES.iter().enumerate().filter(|(at, _)| at % 2 == number % 2) {
            let ids = assert_as_the_oracle_says(&program, &original, args);
            assert_eq!(ids > 0, args.contains(&"--map"), "{name}: move {at}");
        }
    }
}

/// What no fixture has: seasons without a folder, versions, trailers in the metadata directory,
/// lists of ids, odd XML.
#[needs(python)]
#[test]
fn a_library_with_everything_in_it_moves_as_the_rules_say() {
    for state in ["10.11.11", "12.0"] {
        let (program, tree) = with_state(&servers("attic-servers").join(state).join("data"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/enrich.py");
        let done = Command::new(super::reader::python())
            .arg("-B")
            .arg(script)
            .arg(&tree)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // Back into the layout that a snapshot is taken of.
        let data = program.home.path().join("jellyfin");
        for dir in ["config", "data", "metadata", "root", "plugins"] {
            std::fs::remove_dir_all(data.join(dir)).ok();
            copy_tree(&tree.join(dir), &data.join(dir));
        }
        let_settle();
        program.run(&["snapshot", data.to_str().unwrap()]);
        std::fs::remove_dir_all(&tree).unwrap();
        program.ok(&["restore", "latest", "--to", tree.to_str().unwrap()]);
        for args in MOVES {
            assert_as_the_oracle_says(&program, &tree, args);
        }
    }
}

/// Rows and files of a restored tree. Folders of digits that a move made or emptied are no loss.
fn everything(tree: &Path) -> (Vec<String>, Vec<(String, Vec<u8>)>) {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(tree).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(tree).unwrap().to_str().unwrap().to_owned();
        if entry.file_type().is_file() && !path.ends_with("jellyfin.db") {
            files.push((path, std::fs::read(entry.path()).unwrap()));
        }
    }
    (rows(&tree.join("data/jellyfin.db")), files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn there_and_back_is_the_identity(state in 0..6usize, names in proptest::collection::vec("[a-zA-Zäöüß&<>'\"%# +=_.-]{1,12}", 2), layout in 0..3usize) {
        let (_, data) = states().swap_remove(state);
        let (program, original) = with_state(&data);
        let there = format!("/{}", names.iter().map(|name| format!("x{}", name.trim_end_matches('='))).collect::<Vec<_>>().join("/"));
        let layout = ["docker", "linuxserver", "debian"][layout];
        let moved = program.home.path().join("moved");
        program.ok(&["restore", "latest", "--to", moved.to_str().unwrap(), "--map-layout", layout, "--map", &format!("/media={there}")]);
        // The moved tree as a server in Docker's layout, for a snapshot of its own; its database
        // tells where it saw its directories.
        let server = program.home.path().join("there");
        for dir in ["config", "data", "metadata", "root", "plugins"].into_iter().filter(|dir| moved.join(dir).exists()) {
            std::fs::rename(moved.join(dir), server_dir(&server, dir)).unwrap();
        }
        let_settle();
        let other = program.home.path().join("other");
        let other = ["--repo", other.to_str().unwrap()];
        program.run(&[&other[..], &["snapshot", server.to_str().unwrap()]].concat());
        let back = program.home.path().join("back");
        let args = ["restore", "latest", "--to", back.to_str().unwrap(), "--map-layout", "docker", "--map", &format!("{there}=/media")];
        program.ok(&[&other[..], &args].concat());
        let (was, is) = (everything(&original), everything(&back));
        prop_assert_eq!(was.0, is.0);
        // What a snapshot leaves out of the second server's data directory is no part of the move.
        let paths = |files: &[(String, Vec<u8>)]| files.iter().filter(|(path, _)| !path.starts_with("programdata")).cloned().collect::<Vec<_>>();
        prop_assert!(paths(&was.1) == paths(&is.1), "files differ");
    }
}

fn server_dir(server: &Path, dir: &str) -> PathBuf {
    std::fs::create_dir_all(server).unwrap();
    server.join(dir)
}

#[test]
fn a_move_that_would_lose_something_is_refused_with_the_reason() {
    let (program, _) = with_state(&servers("attic-servers").join("day3/data"));
    let refused = |args: &[&str], words: &str| {
        let (answer, code) =
            program.json(&[&["restore", "latest", "--to", "nowhere"], args].concat());
        assert!(
            code == 1 && answer["error"]["message"].as_str().unwrap().contains(words),
            "{args:?}: {answer}"
        );
    };
    refused(
        &["--map", "/media/movies=/films", "--map", "/media/shows=/films"],
        "two directories of media would become one",
    );
    refused(&["--map", "C:\\Films=/films"], "a path of Windows");
    refused(&["--map", "/media=/films", "--map", "/media/=/other"], "mapped to two directories");
    refused(&["--map", "/mdia=/films"], "nothing of the library lies in /mdia");
    refused(&["--map", "/=/mnt"], "cannot be moved as a whole");
    refused(&["--map", "/media=/mnt/../x"], "not an absolute path");
    refused(
        &["--map", "/config/data/playlists=/srv/lists"],
        "the server looks for it nowhere else",
    );
    refused(
        &["--map", "/config/metadata/People=/srv/people"],
        "the server looks for it nowhere else",
    );
    refused(&["--map", "/media/movies=/media/shows"], "two directories of media would become one");
    assert_eq!(program.json(&["restore", "latest", "--to", "nowhere", "--map", "media=/mnt"]).1, 2);
    for option in ["--map-layout", "--map-layout=portable"] {
        let (unclear, code) = program.json(&["export", "latest", "--exact", option]);
        assert!(
            code == 2 && unclear["error"]["message"].as_str().unwrap().contains("not clear"),
            "{unclear}"
        );
    }
    let (unclear, code) = program.json(&["export", "latest", "--exact", "--map-layout"]);
    assert!(
        code == 2 && unclear["error"]["message"].as_str().unwrap().contains("not clear"),
        "{unclear}"
    );
    // A library that was scanned at the new path, too.
    let data = program.home.path().join("jellyfin");
    let moved = program.home.path().join("moved");
    program.ok(&[
        "restore",
        "latest",
        "--to",
        moved.to_str().unwrap(),
        "--map",
        "/media/movies=/films",
    ]);
    run_sql(
        &data.join("data/jellyfin.db"),
        &format!(
            "PRAGMA foreign_keys = OFF; ATTACH '{}' AS moved; INSERT INTO BaseItems SELECT * FROM moved.BaseItems WHERE Path LIKE '/films/%' LIMIT 1;",
            moved.join("data/jellyfin.db").display()
        ),
    );
    program.run(&["snapshot", data.to_str().unwrap()]);
    refused(&["--map", "/media/movies=/films"], "it was scanned at the new path before");
    assert!(!Path::new("nowhere").exists());
    let (list, _) = program.json(&["list"]);
    assert_eq!(
        list["snapshots"].as_array().unwrap().len(),
        2,
        "no snapshot of a move is left: {list}"
    );
}

#[test]
fn an_older_server_and_one_in_an_upgrade_are_refused() {
    let states = servers("cellar-10.10");
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&states.join("10.10.7/data"), &data);
    let_settle();
    program.run(&["snapshot", data.to_str().unwrap()]);
    let (answer, code) =
        program.json(&["restore", "latest", "--to", "nowhere", "--map", "/media=/mnt"]);
    assert!(
        code == 1 && answer["error"]["message"].as_str().unwrap().contains("older than 10.11"),
        "{answer}"
    );
}

/// A server of this machine, with its media beside it.
pub(super) fn on_this_machine() -> (Program, PathBuf, PathBuf) {
    let (program, _) = with_state(&servers("attic-servers").join("day3/data"));
    let [data, media] = ["server", "media"].map(|name| program.home.path().join(name));
    let map = format!("/media={}", media.display());
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--layout",
        "portable",
        "--map-layout",
        "--map",
        &map,
        "--allow-missing",
    ]);
    make_media(&data.join("data/jellyfin.db"), media.to_str().unwrap(), &media);
    (program, data, media)
}

#[test]
fn a_stopped_server_is_moved_where_it_stands_and_back() {
    let (program, data, media) = on_this_machine();
    let before = facts(&data, &|_| false);
    let (data_text, new) = (data.to_str().unwrap(), program.home.path().join("new & <media>"));
    let map = format!("{}={}", media.display(), new.display());
    let (missing, code) = program.json(&["move", data_text, "--map", &map]);
    assert!(
        code == 1
            && missing["error"]["message"]
                .as_str()
                .unwrap()
                .contains("are not where the server will look"),
        "{missing}"
    );
    assert_same_trees(&before, &facts(&data, &|_| false));
    std::fs::rename(&media, &new).unwrap();
    let film = walkdir::WalkDir::new(&new)
        .into_iter()
        .map(Result::unwrap)
        .find(|entry| entry.path().extension().is_some_and(|is| is == "mkv"))
        .unwrap();
    let kept = film.metadata().unwrap().modified().unwrap();
    std::fs::File::options()
        .write(true)
        .open(film.path())
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let (changed, code) = program.json(&["move", data_text, "--map", &map]);
    assert!(
        code == 1
            && changed["error"]["message"].as_str().unwrap().contains("another modification time"),
        "{changed}"
    );
    std::fs::File::options().write(true).open(film.path()).unwrap().set_modified(kept).unwrap();
    assert_same_trees(&before, &facts(&data, &|_| false));
    let (planned, code) = program.json(&["move", data_text, "--map", &map, "--dry-run"]);
    assert!(
        code == 0 && planned["plan"]["media_found"] == 30 && planned["refused"].is_null(),
        "{planned}"
    );
    assert_same_trees(&before, &facts(&data, &|_| false));
    let (done, code) = program.json(&["move", data_text, "--map", &map]);
    assert!(code == 0 && done["plan"]["new_ids"] == 30, "{done}");
    assert!(
        rows(&data.join("data/jellyfin.db"))
            .iter()
            .all(|row| !row.contains(media.to_str().unwrap()))
    );
    assert!(!data.join(MARKER).exists());
    let said = program.ok(&["move", data_text, "--undo"]);
    assert!(said.contains("The state before the move was restored"), "{said}");
    assert_same_trees(&before, &facts(&data, &|_| false));
    let same = format!("{}={}", media.display(), media.display());
    let (same, code) = program.json(&["move", data_text, "--map", &same, "--allow-missing"]);
    assert!(
        code == 1 && same["error"]["message"].as_str().unwrap().contains("no path of"),
        "{same}"
    );
    let (nothing, code) = program.json(&["move", data_text]);
    assert!(code == 2, "{nothing}");
}

/// The file that keeps a server from starting halfway.
pub(super) const MARKER: &str = ".jellyfin-unfinished-move-see-jellyvault-move-undo";

#[test]
fn a_move_that_is_killed_is_done_or_can_be_undone_and_no_server_starts_between() {
    let (program, data, media) = on_this_machine();
    let before = facts(&data, &|_| false);
    let data_text = data.to_str().unwrap();
    let map = format!("{}=/elsewhere", media.display());
    let args = ["move", data_text, "--map", &map, "--allow-missing"];
    let begun = std::time::Instant::now();
    program.ok(&args);
    let whole = begun.elapsed();
    let after = rows(&data.join("data/jellyfin.db"));
    program.ok(&["move", data_text, "--undo"]);
    let mut between = 0;
    for part in 0..24u32 {
        let mut child = program
            .command(&args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Most of the time passes before the first write.
        std::thread::sleep(whole.mul_f64(0.4 + 0.6 * f64::from(part) / 24.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_marked = data.join(MARKER).exists();
        let link = std::fs::read_to_string(data.join("root/default/Films/movies.mblink")).unwrap();
        if is_marked {
            between += 1;
        } else if link.starts_with("/elsewhere") {
            assert_eq!(rows(&data.join("data/jellyfin.db")), after, "a whole new state");
        } else {
            // Killed while it wrote the mark, it leaves what no snapshot takes for the server's.
            let is_draft = |path: &[u8]| path.ends_with(b"-unfinished");
            assert_same_trees(&before, &facts(&data, &is_draft));
            for entry in std::fs::read_dir(&data).unwrap().map(Result::unwrap) {
                if is_draft(entry.file_name().as_encoded_bytes()) {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
            continue;
        }
        if is_marked {
            // A snapshot of this is none to be trusted, and says so.
            let (taken, code) = program.json(&["snapshot", data_text]);
            assert!(
                code == 3
                    && taken["problems"]
                        .to_string()
                        .contains("a move of this server was interrupted"),
                "{taken}"
            );
        }
        // The way back may be killed, too.
        let mut child = program
            .command(&["move", data_text, "--undo"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(part) / 24.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let link = std::fs::read_to_string(data.join("root/default/Films/movies.mblink"))
            .unwrap_or_default();
        let is_new = rows(&data.join("data/jellyfin.db")) == after;
        assert!(
            data.join(MARKER).exists() || link.starts_with("/elsewhere") == is_new,
            "no server starts between"
        );
        if data.join(MARKER).exists() || link.starts_with("/elsewhere") {
            program.ok(&["move", data_text, "--undo"]);
        }
        assert_same_trees(&before, &facts(&data, &|_| false));
    }
    assert!(between > 0, "no kill fell between the first write and the last");
}

/// Calls that change a file, or what a name stands for.
const CHANGES: &str = "write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,openat,ftruncate,fchmod,fchown,utimensat,fsync,fdatasync";

/// Runs a command that the system kills at a call of these; whether it came so far.
pub(super) fn is_killed_at(program: &Program, args: &[&str], call: usize) -> bool {
    let of = program.command(args);
    let mut command = Command::new("strace");
    command.env_clear().envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args([
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={CHANGES}"),
        "-e",
        &format!("inject={CHANGES}:signal=KILL:when={call}"),
    ]);
    let status = command
        .arg(of.get_program())
        .args(of.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(
        status.code().is_none_or(|code| matches!(code, 0 | 3 | 137)),
        "{args:?} killed at call {call}: {status:?}"
    );
    !matches!(status.code(), Some(0 | 3))
}

/// `JELLYVAULT_KILL_STRIDE=1` tries every call, which takes half an hour; what is set here tries
/// one in 61.
#[needs(strace)]
#[test]
fn a_move_that_is_killed_at_any_call_is_done_or_not_begun_or_marked() {
    let stride =
        std::env::var("JELLYVAULT_KILL_STRIDE").map_or(61, |stride| stride.parse().unwrap());
    let (program, data, media) = on_this_machine();
    let before = facts(&data, &|_| false);
    let data_text = data.to_str().unwrap();
    let map = format!("{}=/elsewhere", media.display());
    let args = ["move", data_text, "--map", &map, "--allow-missing"];
    program.ok(&args);
    let after = rows(&data.join("data/jellyfin.db"));
    program.ok(&["move", data_text, "--undo"]);
    let (mut old, mut new, mut marked) = (0, 0, 0);
    for call in (1..).step_by(stride) {
        let is_killed = is_killed_at(&program, &args, call);
        let link = std::fs::read_to_string(data.join("root/default/Films/movies.mblink")).unwrap();
        if data.join(MARKER).exists() {
            marked += 1;
        } else if link.starts_with("/elsewhere") {
            assert_eq!(
                rows(&data.join("data/jellyfin.db")),
                after,
                "a whole new state at call {call}"
            );
            new += 1;
        } else {
            assert!(is_killed, "done, and nothing is moved");
            assert_same_trees(&before, &facts(&data, &|_| false));
            old += 1;
            continue;
        }
        program.ok(&["move", data_text, "--undo"]);
        assert_same_trees(&before, &facts(&data, &|_| false));
        if !is_killed {
            break;
        }
    }
    assert!(old > 0 && marked > 0 && new > 0, "{old} old, {marked} marked, {new} new");
}

#[test]
fn another_layout_is_refused_until_the_paths_are_changed() {
    let (program, _) = with_state(&servers("attic-servers").join("day3/data"));
    let (data, config) = (program.home.path().join("lib"), program.home.path().join("etc"));
    let args = [
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--config-dir",
        config.to_str().unwrap(),
        "--layout",
        "debian",
    ];
    let (refused, code) = program.json(&args);
    assert!(
        code == 1 && refused["error"]["hint"].as_str().unwrap().contains("--map-layout"),
        "{refused}"
    );
    let (missing, code) = program.json(&[&args[..], &["--map-layout"]].concat());
    assert!(
        code == 1 && missing["error"]["hint"].as_str().unwrap().contains("--map /old=/new"),
        "the media of the container is at no such path here: {missing}"
    );
    program.ok(&[&args[..], &["--map-layout", "--allow-missing"]].concat());
    let all = rows(&data.join("data/jellyfin.db"));
    assert!(
        all.iter().any(|row| row.contains(&format!("{}/users/Ana", config.display()))),
        "avatars lie in the configuration"
    );
    assert!(all.iter().all(|row| !row.contains("/config/")), "nothing names the old directories");
    // The server's own zip of another layout holds the same database.
    let zip = program.home.path().join("moved.zip");
    let exported = program.json(&[
        "export",
        "latest",
        "--exact",
        zip.to_str().unwrap(),
        "--map-layout",
        "debian",
    ]);
    assert_eq!(
        exported.0["archive"]["fits"]["directories"]["programdata"], "/var/lib/jellyfin",
        "{}",
        exported.0
    );
    assert!(exported.0["plan"]["rows"].as_object().unwrap().len() > 3, "{}", exported.0);
}

#[test]
fn undo_goes_back_before_the_last_move_that_was_done_and_then_further() {
    let (program, data, media) = on_this_machine();
    let data_text = data.to_str().unwrap();
    let link = || std::fs::read_to_string(data.join("root/default/Films/movies.mblink")).unwrap();
    let first = link();
    let to = |old: &str, new: &str| format!("{old}={new}");
    program.ok(&[
        "move",
        data_text,
        "--map",
        &to(media.to_str().unwrap(), "/two"),
        "--allow-missing",
    ]);
    program.ok(&["move", data_text, "--map", "/two=/three", "--allow-missing"]);
    let list = || program.json(&["list"]).0["snapshots"].as_array().unwrap().len();
    let before = list();
    // A refused one is none.
    assert_eq!(program.json(&["move", data_text, "--map", "/three=/four"]).1, 1);
    assert_eq!((link().as_str(), list()), ("/three/movies", before));
    assert!(program.ok(&["list"]).contains("(before a move)"));
    program.ok(&["move", data_text, "--undo"]);
    assert_eq!(link(), "/two/movies");
    program.ok(&["move", data_text, "--undo"]);
    assert_eq!(link(), first);
    let (none, code) = program.json(&["move", data_text, "--undo"]);
    assert!(
        code == 1 && none["error"]["message"].as_str().unwrap().contains("not undone already"),
        "{none}"
    );
}

#[test]
fn an_interrupted_restore_with_other_paths_is_undone_to_the_state_before_it() {
    let (program, data, media) = on_this_machine();
    let data_text = data.to_str().unwrap();
    program.ok(&[
        "move",
        data_text,
        "--map",
        &format!("{}=/two", media.display()),
        "--allow-missing",
    ]);
    write(data.join("data/playlists/new.m3u"), "of this year");
    let_settle();
    program.ok(&["snapshot", data_text, "--label", "newer"]);
    let before = facts(&data, &|_| false);
    // What an interruption leaves: the marker, which names the snapshot of the state before, and
    // half of the files.
    let args = [
        "restore",
        "newer",
        "--in-place",
        "--data-dir",
        data_text,
        "--map",
        "/two=/three",
        "--allow-missing",
    ];
    let (report, code) = program.json(&args);
    assert_eq!(code, 0, "{report}");
    let safety = report["safety_snapshot"].as_str().unwrap();
    write(data.join(MARKER), format!("words\nThe state before is in snapshot {safety}\n"));
    std::fs::remove_file(data.join("root/default/Films/movies.mblink")).unwrap();
    program.ok(&["move", data_text, "--undo"]);
    assert_same_trees(&before, &facts(&data, &|_| false));
    // One that names no such snapshot is not believed.
    write(data.join(MARKER), "The state before is in snapshot 00000000000000000000000000000000\n");
    let (refused, code) = program.json(&["move", data_text, "--undo"]);
    assert!(code == 1 && refused["error"]["hint"].as_str().unwrap().contains("again"), "{refused}");
}

#[test]
fn a_part_of_a_moved_snapshot_leaves_the_server_able_to_start() {
    let (program, data, media) = on_this_machine();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let args = [
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--only",
        "metadata",
        "--allow-missing",
        "--map",
    ];
    let said = program.ok(&[&args[..], &[&format!("{}=/two", media.display())]].concat());
    assert!(said.contains("The database was not restored"), "{said}");
    assert!(!data.join(MARKER).exists());
    let before = facts(&data, &|_| false);
    let args = [
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--allow-missing",
        "--map",
        "/two=/three",
    ];
    for part in [["--only", "config"], ["--only", "database"], ["--path", "root"]] {
        let (refused, code) = program.json(&[&args[..], &part].concat());
        assert!(
            code == 2 && refused["error"]["message"].as_str().unwrap().contains("together"),
            "{refused}"
        );
    }
    assert_same_trees(&before, &facts(&data, &|_| false));
}

#[test]
fn a_data_directory_that_was_moved_on_this_machine_is_told_its_new_place() {
    let (program, data, _) = on_this_machine();
    let elsewhere = program.home.path().join("else where");
    std::fs::rename(&data, &elsewhere).unwrap();
    program.ok(&["move", elsewhere.to_str().unwrap(), "--map-layout"]);
    let all = rows(&elsewhere.join("data/jellyfin.db"));
    assert!(
        all.iter().any(|row| row.contains(&format!("{}/root/default", elsewhere.display()))),
        "the libraries lie in the new place"
    );
    assert!(
        all.iter().all(|row| !row.contains(&format!("{}/", data.display()))),
        "nothing names the old one"
    );
}

#[test]
fn metadata_in_a_place_of_its_own_moves_as_the_settings_say() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&servers("attic-servers").join("day3/data"), &data);
    let settings = data.join("config/system.xml");
    let usual = std::fs::read_to_string(&settings).unwrap();
    assert!(usual.contains("<MetadataPath />"));
    let_settle();
    program.run(&["snapshot", data.to_str().unwrap()]);
    let out = program.home.path().join("out");
    let restored = |args: &[&str]| {
        program.json(
            &[&["restore", "latest", "--to", out.to_str().unwrap(), "--delete", "--yes"], args]
                .concat(),
        )
    };
    // From its usual place to another: the settings name it from now on.
    let (report, _) = restored(&["--map", "/config/metadata=/srv/meta & data"]);
    assert_eq!(report["plan"]["new_ids"], 26, "all that has its folder there: {report}");
    let moved = std::fs::read_to_string(out.join("config/system.xml")).unwrap();
    assert!(moved.contains("<MetadataPath>/srv/meta &amp; data</MetadataPath>"), "{moved}");
    // Where they cannot, it is not done.
    std::fs::write(&settings, usual.replace("<MetadataPath />", "")).unwrap();
    let_settle();
    program.run(&["snapshot", data.to_str().unwrap()]);
    let (refused, code) = restored(&["--map", "/config/metadata=/srv/meta"]);
    assert!(
        code == 1 && refused["error"]["message"].as_str().unwrap().contains("MetadataPath"),
        "{refused}"
    );
    // Inside a directory that moves it moves along.
    std::fs::rename(data.join("metadata"), data.join("cm")).unwrap();
    std::fs::write(
        &settings,
        usual.replace("<MetadataPath />", "<MetadataPath>/config/cm</MetadataPath>"),
    )
    .unwrap();
    let sql = "UPDATE BaseItemImageInfos SET Path = replace(Path, '/config/metadata', '/config/cm'); UPDATE Chapters SET ImagePath = replace(ImagePath, '/config/metadata', '/config/cm');";
    run_sql(&data.join("data/jellyfin.db"), sql);
    program.run(&[
        "snapshot",
        data.to_str().unwrap(),
        "--metadata-dir",
        data.join("cm").to_str().unwrap(),
    ]);
    let (plan, _) = program.json(&[
        "restore",
        "latest",
        "--to",
        "nowhere",
        "--map-layout",
        "debian",
        "--dry-run",
    ]);
    assert_eq!(
        (plan["plan"]["from"]["metadata"].as_str(), plan["plan"]["to"]["metadata"].as_str()),
        (Some("/config/cm"), Some("/var/lib/jellyfin/cm")),
        "{plan}"
    );
}

#[test]
fn what_cannot_be_read_is_named_and_stays() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&servers("attic-servers").join("day3/data"), &data);
    let settings =
        |name: &str, text: &str| write(data.join("plugins/configurations").join(name), text);
    settings("marked.json", "\u{feff}{\"path\": \"/media/a\"}");
    settings("list.json", "{\"paths\": \"/media/a|/media/b\"}");
    settings("notes.TXT", "file:///media/x");
    settings("other.json", "{\"path\": \"/media2/a\"}");
    let sql = "PRAGMA foreign_keys = OFF; CREATE TABLE Plug(ItemId TEXT PRIMARY KEY, x) WITHOUT ROWID; INSERT INTO Plug SELECT Id, 1 FROM BaseItems LIMIT 3; \
               CREATE TABLE Numbered(rowid TEXT, ItemId TEXT); INSERT INTO Numbered SELECT 'x', Id FROM BaseItems WHERE Path LIKE '/media/movies/%.mkv'; \
               UPDATE BaseItems SET Path = CAST(Path AS BLOB) WHERE Path LIKE '/media/movies/%.mkv';";
    run_sql(&data.join("data/jellyfin.db"), sql);
    program.run(&["snapshot", data.to_str().unwrap()]);
    let out = program.home.path().join("out");
    let (report, code) = program.json(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--map",
        "/media=/mnt/x",
        "--map-plugins",
    ]);
    let plan = &report["plan"];
    assert_eq!(code, 3, "{report}");
    assert_eq!(plan["unread"]["count"], 8, "seven paths and a table: {plan}");
    let named: Vec<&str> = plan["plugins_by_hand"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(named, ["plugins/configurations/notes.TXT"], "what still has an old path in it");
    assert_eq!(
        std::fs::read_to_string(out.join("plugins/configurations/list.json")).unwrap(),
        "{\"paths\": \"/mnt/x/a|/mnt/x/b\"}",
        "a list of paths changes as a whole"
    );
    assert_eq!(
        std::fs::read_to_string(out.join("plugins/configurations/marked.json")).unwrap(),
        "\u{feff}{\"path\": \"/mnt/x/a\"}"
    );
    let said = program.run(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--map",
        "/media=/mnt/x",
        "-q",
    ]);
    assert!(
        said.status.code() == Some(3)
            && String::from_utf8(said.stderr).unwrap().contains("could not be read")
    );
}

#[test]
fn undo_takes_no_snapshot_of_a_copy_of_the_server() {
    let (program, data, media) = on_this_machine();
    let copy = program.home.path().join("copy");
    copy_tree(&data, &copy);
    let_settle();
    let map = format!("{}=/two", media.display());
    let [data_text, copy_text] = [&data, &copy].map(|dir| dir.to_str().unwrap());
    program.ok(&["move", data_text, "--map", &map, "--allow-missing"]);
    program.ok(&["move", copy_text, "--map-layout", "--map", &map, "--allow-missing"]);
    program.ok(&["move", data_text, "--undo"]);
    let all = rows(&data.join("data/jellyfin.db"));
    assert!(
        all.iter().any(|row| row.contains(&format!("{data_text}/root")))
            && all.iter().all(|row| !row.contains(copy_text)),
        "its own state"
    );
}

#[test]
fn a_server_that_cannot_be_captured_whole_is_not_moved() {
    let (program, data, media) = on_this_machine();
    std::fs::rename(data.join("metadata/People"), program.home.path().join("People")).unwrap();
    std::os::unix::fs::symlink(program.home.path().join("People"), data.join("metadata/People"))
        .unwrap();
    let before = facts(&data, &|_| false);
    let map = format!("{}=/two", media.display());
    let args = ["move", data.to_str().unwrap(), "--map", &map, "--allow-missing"];
    let (planned, code) = program.json(&[&args[..], &["--dry-run"]].concat());
    assert!(
        code == 3 && planned["refused"].as_str().unwrap().contains("metadata/People"),
        "{planned}"
    );
    let (refused, code) = program.json(&args);
    assert!(
        code == 1 && refused["error"]["message"].as_str().unwrap().contains("metadata/People"),
        "{refused}"
    );
    assert_same_trees(&before, &facts(&data, &|_| false));
}

#[needs(chattr)]
#[test]
fn a_file_that_cannot_be_written_keeps_the_server_from_starting_until_the_move_is_undone() {
    let (program, data, media) = on_this_machine();
    let database = data.join("data/jellyfin.db");
    let before = facts(&data, &|_| false);
    let chattr = |flag: &str| {
        assert!(Command::new("chattr").arg(flag).arg(&database).status().unwrap().success())
    };
    chattr("+i");
    let (failed, code) = program.json(&[
        "move",
        data.to_str().unwrap(),
        "--map",
        &format!("{}=/two", media.display()),
        "--allow-missing",
    ]);
    chattr("-i");
    assert_eq!(code, 1, "{failed}");
    let is_marked = data.join(MARKER).exists();
    assert!(
        is_marked || facts(&data, &|_| false) == before,
        "either the old state, or none that a server starts on: {failed}"
    );
    // The same command goes on from there.
    program.ok(&[
        "move",
        data.to_str().unwrap(),
        "--map",
        &format!("{}=/two", media.display()),
        "--allow-missing",
    ]);
    assert!(!data.join(MARKER).exists());
    // An undo that cannot write everything is none.
    chattr("+i");
    assert_eq!(program.json(&["move", data.to_str().unwrap(), "--undo"]).1, 1);
    chattr("-i");
    program.ok(&["move", data.to_str().unwrap(), "--undo"]);
    assert_same_trees(&before, &facts(&data, &|_| false));
}

#[test]
fn watch_state_of_a_film_that_was_at_both_places_stops_no_move() {
    let (program, data, media) = on_this_machine();
    let film = |program: &Program, data: &Path| -> (String, String) {
        let _ = program;
        let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
        db.query_row(
            "SELECT lower(Id), Path FROM BaseItems WHERE Path LIKE '%.mkv' ORDER BY Path LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
    };
    let map = format!("{}=/two", media.display());
    let (old, _) = film(&program, &data);
    program.ok(&["move", data.to_str().unwrap(), "--map", &map, "--allow-missing"]);
    let (new, _) = film(&program, &data);
    program.ok(&["move", data.to_str().unwrap(), "--undo"]);
    let key = |id: &str| {
        format!(
            "INSERT INTO UserData(ItemId, UserId, CustomDataKey, IsFavorite, PlayCount, PlaybackPositionTicks, Played) \
             SELECT '00000000-0000-0000-0000-000000000001', UserId, '{id}', 1, 1, 0, 1 FROM UserData LIMIT 1;"
        )
    };
    run_sql(
        &data.join("data/jellyfin.db"),
        &format!("PRAGMA foreign_keys = OFF; {}{}", key(&old), key(&new)),
    );
    let (moved, code) =
        program.json(&["move", data.to_str().unwrap(), "--map", &map, "--allow-missing"]);
    assert!(code == 3 && moved["plan"]["unread"]["count"] == 1, "{moved}");
    assert!(
        rows(&data.join("data/jellyfin.db")).iter().any(|row| row.contains(&old)),
        "both rows are there still"
    );
}

#[test]
fn one_command_at_a_time_changes_a_server() {
    let (program, data, media) = on_this_machine();
    let held = std::fs::File::open(&data).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let at = data.to_str().unwrap();
    let map = format!("{}=/two", media.display());
    program.ok(&["snapshot", at]);
    let user: String = rusqlite::Connection::open(data.join("data/jellyfin.db"))
        .unwrap()
        .query_row("SELECT Username FROM Users LIMIT 1", [], |row| row.get(0))
        .unwrap();
    let before = facts(&data, &|_| false);
    for args in [
        &["restore", "latest", "--data-dir", at, "--watch-state", "--user", &user][..],
        &["move", at, "--map", &map, "--allow-missing"],
        &["move", "--undo", at],
        &["restore", "latest", "--in-place", "--data-dir", at],
    ] {
        let (refused, code) = program.json(args);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(code == 1 && message.contains("another jellyvault is changing"), "{refused}");
    }
    // Who only looks waits for nobody.
    assert_eq!(
        program.json(&["restore", "latest", "--in-place", "--data-dir", at, "--dry-run"]).1,
        0
    );
    assert_same_trees(&before, &facts(&data, &|_| false));
    drop(held);
    program.ok(&["move", at, "--map", &map, "--allow-missing"]);
}

#[test]
fn what_would_change_no_path_is_refused_in_a_dry_run_too() {
    let (program, data, _media) = on_this_machine();
    let at = data.to_str().unwrap();
    let args = ["move", at, "--map-layout"];
    let (planned, code) = program.json(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(code, 3, "{planned}");
    assert!(planned["refused"].as_str().unwrap().contains("no path of"), "{planned}");
    let (refused, code) = program.json(&args);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    // Watch state knows no paths.
    let (refused, code) = program.json(&[
        "restore",
        "latest",
        at,
        "--user",
        "ana",
        "--watch-state",
        "--map",
        "/media=/elsewhere",
    ]);
    assert_eq!(code, 2, "{refused}");
}

#[test]
fn the_servers_own_directories_stay_though_what_they_lie_in_moves() {
    let (program, data, media) = on_this_machine();
    let home = program.home.path().to_path_buf();
    assert!(media.starts_with(&home) && data.starts_with(&home));
    let at = data.to_str().unwrap();
    let list = || program.json(&["list"]).0["snapshots"].as_array().unwrap().len();
    let snapshots = list();
    let map = format!("{}=/elsewhere", home.display());
    let args = ["move", at, "--map", &map, "--allow-missing"];
    let settings = data.join("config/system.xml");
    let cache = format!("<CachePath>{}/cache</CachePath>", home.display());
    let text = std::fs::read_to_string(&settings).unwrap();
    write(&settings, text.replace("  <CacheSize>", &format!("  {cache}\n  <CacheSize>")));
    let_settle();
    let (planned, code) = program.json(&[&args[..], &["--dry-run"]].concat());
    assert_eq!((code, planned["plan"]["settings"].as_array().unwrap().len()), (0, 0), "{planned}");
    assert_eq!(list(), snapshots, "a dry run leaves no snapshot");
    let before = facts(&data, &|_| false);
    program.ok(&args);
    let new = rows(&data.join("data/jellyfin.db"));
    let is_named = |path: &str| new.iter().any(|row| row.contains(path));
    let below = media.strip_prefix(&home).unwrap().to_str().unwrap().to_owned();
    assert!(is_named(&format!("/elsewhere/{below}")) && !is_named(media.to_str().unwrap()));
    assert!(is_named(&format!("{at}/root")) && !is_named("/elsewhere/jellyfin"));
    assert!(std::fs::read_to_string(&settings).unwrap().contains(&cache), "the cache stays, too");
    let (planned, code) = program.json(&["move", "--undo", at, "--dry-run"]);
    assert_eq!(code, 0, "{planned}");
    assert!(
        !rows(&data.join("data/jellyfin.db"))
            .iter()
            .any(|row| row.contains(media.to_str().unwrap()))
    );
    program.ok(&["move", "--undo", at]);
    assert_same_trees(&before, &facts(&data, &|_| false));
    let inside = format!("{}={at}/metadata/library", media.display());
    let (refused, code) = program.json(&["move", at, "--map", &inside, "--allow-missing"]);
    assert!(code == 1 && refused.to_string().contains("media must not"), "{refused}");
}

#[test]
fn the_command_that_undoes_a_restore_with_other_paths_comes_back_exactly() {
    let (program, data, media) = on_this_machine();
    let at = data.to_str().unwrap();
    program.ok(&["snapshot", at]);
    std::fs::remove_dir_all(
        data.join("root/default").read_dir().unwrap().next().unwrap().unwrap().path(),
    )
    .unwrap();
    let before = facts(&data, &|_| false);
    let map = format!("{}=/two", media.display());
    let said = program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        at,
        "--map",
        &map,
        "--allow-missing",
    ]);
    let undo = said.split("To undo: jellyvault ").nth(1).unwrap().lines().next().unwrap();
    let undo: Vec<&str> = undo.split(' ').collect();
    program.ok(&[&undo[..], &["--yes"]].concat());
    assert_same_trees(&before, &facts(&data, &|_| false));
}

/// Two films change places, and watch state that is of no item has the keys of both.
#[test]
fn rows_whose_key_another_row_has_after_a_swap_stay() {
    let (program, data, media) = on_this_machine();
    let at = data.to_str().unwrap();
    let films = |place: &str| -> Vec<String> {
        let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
        let mut found =
            db.prepare("SELECT lower(Id) FROM BaseItems WHERE Path LIKE ?1 ORDER BY Path").unwrap();
        found
            .query_map([format!("{}/{place}/%.mkv", media.display())], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let folders: Vec<String> = std::fs::read_dir(&media)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let [one, two] = [&folders[0], &folders[1]];
    let swap = [
        format!("{0}/{one}={0}/{two}", media.display()),
        format!("{0}/{two}={0}/{one}", media.display()),
    ];
    let args = ["move", at, "--map", &swap[0], "--map", &swap[1], "--allow-missing"];
    let old = films(one).first().or(films(two).first()).unwrap().clone();
    program.ok(&args);
    let now = rows(&data.join("data/jellyfin.db"));
    program.ok(&["move", "--undo", at]);
    assert!(now.iter().all(|row| !row.contains(&old)), "it has another id there");
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    let path: String = db
        .query_row("SELECT Path FROM BaseItems WHERE lower(Id) = ?1", [&old], |row| row.get(0))
        .unwrap();
    drop(db);
    let key = |key: &str| {
        format!(
            "INSERT INTO UserData(ItemId, UserId, CustomDataKey, IsFavorite, PlayCount, PlaybackPositionTicks, Played) SELECT '00000000-0000-0000-0000-000000000001', UserId, '{}', 1, 1, 0, 1 FROM UserData LIMIT 1;",
            key.replace('\'', "''")
        )
    };
    let new = if path.contains(&format!("/{one}/")) {
        path.replace(&format!("/{one}/"), &format!("/{two}/"))
    } else {
        path.replace(&format!("/{two}/"), &format!("/{one}/"))
    };
    run_sql(
        &data.join("data/jellyfin.db"),
        &format!("PRAGMA foreign_keys = OFF; {}{}", key(&path), key(&new)),
    );
    let before = rows(&data.join("data/jellyfin.db"));
    let (moved, code) = program.json(&args);
    // Both changed places, and nothing was lost.
    assert!([0, 3].contains(&code), "{moved}");
    assert_eq!(rows(&data.join("data/jellyfin.db")).len(), before.len());
}
