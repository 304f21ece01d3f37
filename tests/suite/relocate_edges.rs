//! Moves of servers that are not like the usual one: what they have must come along, be named, or
//! keep the move from being made.

use std::path::Path;

use needs::needs;
use serde_json::Value;

use super::relocate::{MARKER, is_killed_at, on_this_machine, with_state};
use super::support::*;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

fn database(dir: &Path) -> Vec<String> {
    rows(&dir.join("data/jellyfin.db"))
}

/// A folder in the media is told by its path, whatever its type: only in the metadata directory by
/// its name, in lower case.
#[test]
fn an_artists_folder_keeps_its_id_through_a_name_in_lower_case() {
    let (program, _) = with_state(&servers("attic-servers").join("day3/data"));
    let [small, twice, once] =
        ["small", "twice", "once"].map(|name| program.home.path().join(name));
    let restore = |to: &Path, maps: &[&str]| {
        let mut args = vec!["restore", "latest", "--to", to.to_str().unwrap()];
        maps.iter().for_each(|map| args.extend(["--map", map]));
        program.run(&args);
    };
    let old = "/media/music/Björk Ensemble";
    restore(&once, &[&format!("{old}=/mnt/NAS/music/abba"), "/media=/mnt/NAS"]);
    restore(&small, &[&format!("{old}=/media/music/abba")]);
    program.run(&["snapshot", small.to_str().unwrap()]);
    restore(&twice, &["/media=/mnt/NAS"]);
    let [twice, once] = [twice, once].map(|dir| database(&dir));
    assert!(once.iter().any(|row| row.contains("/mnt/NAS/music/abba")));
    assert!(twice == once, "two moves come to the same as one");
}

#[test]
fn a_restore_that_would_leave_folders_under_old_ids_is_refused() {
    let (program, data, media) = on_this_machine();
    let at = data.to_str().unwrap();
    let map = format!("{}=/two", media.display());
    let before = facts(&data, &|_| false);
    let refused = |also: &[&str], reason: &str| {
        let args =
            ["restore", "latest", "--in-place", "--data-dir", at, "--map", &map, "--allow-missing"];
        let (planned, code) = program.json(&[&args[..], also, &["--dry-run"]].concat());
        assert!(code == 3 && planned["refused"].as_str().unwrap().contains(reason), "{planned}");
        let (refused, code) = program.json(&[&args[..], also].concat());
        assert!(
            code == 1 && refused["error"]["message"].as_str().unwrap().contains(reason),
            "{refused}"
        );
        assert_same_trees(&before, &facts(&data, &|_| false));
    };
    program.ok(&["snapshot", at]);
    refused(&["--only", "database,config"], "they are not selected");
    program.ok(&["snapshot", at, "--skip", "metadata"]);
    refused(&[], "metadata of this server would keep the old ids: the snapshot does not contain");
    let list = program.json(&["list"]).0;
    assert!(!list.to_string().contains("with moved paths"), "none is left in the list");
    let library = program.home.path().join("library");
    std::fs::rename(data.join("metadata/library"), &library).unwrap();
    std::os::unix::fs::symlink(&library, data.join("metadata/library")).unwrap();
    program.run(&["snapshot", at]);
    let args =
        ["restore", "latest", "--in-place", "--data-dir", at, "--map", &map, "--allow-missing"];
    let (linked, code) = program.json(&args);
    assert!(
        code == 1 && linked.to_string().contains("metadata/library of this server"),
        "{linked}"
    );
}

#[test]
fn metadata_in_its_usual_place_stays_with_a_server_that_stays() {
    let (program, data, _) = on_this_machine();
    let map = format!("{}/metadata=/meta", data.display());
    let (refused, code) =
        program.json(&["move", data.to_str().unwrap(), "--map", &map, "--allow-missing"]);
    assert!(code == 1 && refused.to_string().contains("in its usual place"), "{refused}");
}

#[test]
fn media_in_the_data_directory_is_named_where_it_moves_along() {
    let (program, _) = with_state(&servers("attic-servers").join("day3/data"));
    let args = ["restore", "latest", "--to", "nowhere", "--dry-run"];
    let along = ["--map", "/media=/config/media", "--map-layout", "docker"];
    let (planned, _) = program.json(&[&args[..], &along].concat());
    assert_eq!(planned["plan"]["along"], serde_json::json!({}), "its own pair names it: {planned}");
    let inside = program.home.path().join("inside");
    program.run(&[&["restore", "latest", "--to", inside.to_str().unwrap()], &along[..]].concat());
    program.run(&["snapshot", inside.to_str().unwrap()]);
    let layout = ["--map-layout", "linuxserver"];
    let (planned, _) = program.json(&[&args[..], &layout].concat());
    assert_eq!(
        planned["plan"]["along"],
        serde_json::json!({"/config/media": "/config/data/media"}),
        "{planned}"
    );
    let said = program.ok(&[&args[..], &layout].concat());
    assert!(said.contains("media: /config/media → /config/data/media"), "{said}");
    let out = program.home.path().join("out");
    let to = ["restore", "latest", "--to", out.to_str().unwrap(), "--layout", "linuxserver"];
    let said = program.ok(&[&to[..], &["--map-layout"]].concat());
    assert!(
        said.contains("see the media at its new path") && !said.contains("same path as before"),
        "{said}"
    );
}

#[test]
fn what_stays_as_it_is_is_named() {
    let (program, data, media) = on_this_machine();
    let at = data.to_str().unwrap();
    let plug = data.join("data/introskipper/introskipper.db");
    std::fs::create_dir_all(plug.parent().unwrap()).unwrap();
    run_sql(&plug, "CREATE TABLE Segments(ItemId TEXT)");
    let film: String = rusqlite::Connection::open(data.join("data/jellyfin.db"))
        .unwrap()
        .query_row("SELECT Id FROM BaseItems WHERE Path LIKE '%.mkv' LIMIT 1", [], |row| row.get(0))
        .unwrap();
    let settings = |name: &str| data.join("plugins/configurations").join(name);
    write(settings("ids.json"), format!("{{\"Item\": \"{film}\"}}"));
    write(settings("key.json"), format!("{{\"{}/a\": 1, \"p\": \"{0}/b\"}}", media.display()));
    write(
        data.join("config/livetv.xml"),
        "<L><MovieRecordingPath>/recordings/films</MovieRecordingPath><RecordingPostProcessorArguments>\"{path}\" \"/recordings\"</RecordingPostProcessorArguments></L>",
    );
    // Seasons that metadata named, and one that the server made for missing episodes.
    let season = "MediaBrowser.Controller.Entities.TV.Season";
    let sql = format!(
        "INSERT INTO BaseItems SELECT * FROM BaseItems WHERE 0; \
         CREATE TEMP TABLE s AS SELECT * FROM BaseItems WHERE Type = '{season}' LIMIT 1; \
         UPDATE s SET Id = '0B6B5585-1BAA-CEE5-A4A5-813B55440A2D', Path = NULL, Name = 'Book Four: Air', IndexNumber = 4; \
         INSERT INTO BaseItems SELECT * FROM s"
    );
    run_sql(&data.join("data/jellyfin.db"), &sql);
    let map = format!("{}=/two", media.display());
    let args = ["move", at, "--map", &map, "--map", "/recordings=/mnt/rec", "--allow-missing"];
    let (planned, code) = program.json(&[&args[..], &["--dry-run"]].concat());
    let plan = &planned["plan"];
    assert_eq!(code, 0, "{planned}");
    assert_eq!(names(&plan["plugin_databases"]), ["data/introskipper/introskipper.db"]);
    assert_eq!(
        names(&plan["plugins"]),
        ["plugins/configurations/ids.json", "plugins/configurations/key.json"]
    );
    assert_eq!(names(&plan["settings"]), ["config/livetv.xml"], "{plan}");
    assert!(names(&plan["documents"]).contains(&"config/livetv.xml"), "{plan}");
    assert_eq!(plan["kept_seasons"]["count"], 1, "{plan}");
    let (planned, _) = program.json(&[&args[..], &["--dry-run", "--map-plugins"]].concat());
    assert_eq!(
        names(&planned["plan"]["plugins_by_hand"]),
        ["plugins/configurations/key.json"],
        "{planned}"
    );
    let said = program.ok(&[&args[..], &["--dry-run"]].concat());
    assert!(said.contains("1 season without a folder keeps its id. The server finds"), "{said}");
    // A directory that nothing names at all is still a slip of the pen.
    let (slip, code) = program.json(&[&args[..], &["--map", "/nothing=/x"]].concat());
    assert!(
        code == 1 && slip.to_string().contains("nothing of the library lies in /nothing"),
        "{slip}"
    );
}

/// A move that is killed before its first write was none: there is nothing in it to go back from.
#[needs(strace)]
#[test]
fn undo_passes_over_a_move_that_was_killed_before_it_began() {
    let (program, data, media) = on_this_machine();
    let at = data.to_str().unwrap();
    let link = || std::fs::read_to_string(data.join("root/default/Films/movies.mblink")).unwrap();
    let first = link();
    let map = format!("{}=/two", media.display());
    program.ok(&["move", at, "--map", &map, "--allow-missing"]);
    let safety = || program.ok(&["list"]).matches("(before a move)").count();
    let again = ["move", at, "--map", "/two=/three", "--allow-missing"];
    let before = safety();
    for call in (20..).step_by(20) {
        assert!(is_killed_at(&program, &again, call), "it came to its end");
        assert!(!data.join(MARKER).exists() && link() == "/two/movies", "it began to write");
        if safety() > before {
            break;
        }
    }
    program.ok(&["move", at, "--undo"]);
    assert_eq!(link(), first);
}
