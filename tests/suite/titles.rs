//! Finding and restoring by title, and pictures that stand in the way of restored ones.

use std::path::{Path, PathBuf};

use super::support::*;

const FILM: &str = "Crimson Signal 4";
const FOLDER: &str = "metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927";

fn attic() -> (Program, PathBuf) {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    (program, data)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_title_finds_what_is_called_so_with_its_folders() {
    let (program, _) = attic();
    let (found, code) = program.json(&["find", "crimson signal"]);
    assert_eq!(code, 0);
    let titles = found["titles"].as_array().unwrap();
    assert_eq!(
        (
            titles.len(),
            titles[0]["title"].as_str(),
            titles[0]["year"].as_i64(),
            titles[0]["kind"].as_str()
        ),
        (1, Some(FILM), Some(1985), Some("film"))
    );
    assert!(titles[0]["paths"].as_array().unwrap().iter().any(|path| path == FOLDER), "{found}");
    for (words, kind) in [
        ("Pía Gómez", "person"),
        ("Crimson Signal 4 (1985)", "film"),
        ("Distant Garden Chronicles 0 S01E02", "episode"),
        ("bjørn", "user"),
        ("pia gomez", "person"),
        ("S01E0", "episode"),
        ("distant garden chronicles 0 s1e2", "episode"),
        ("Distant Garden Chronicles 0 1x02", "episode"),
    ] {
        let (found, _) = program.json(&["find", words]);
        assert!(
            found["titles"].as_array().unwrap().iter().any(|titled| titled["kind"] == kind),
            "{words} {found}"
        );
    }
    assert_eq!(program.json(&["find", "*.jpg"]).0["titles"], serde_json::json!([]));
    assert!(program.ok(&["find", "nobody is called so"]).contains("Nothing found"));
}

#[test]
fn words_of_a_title_are_found_in_any_order() {
    let (program, _) = attic();
    let titles = |words: &str| {
        program.json(&["find", words]).0["titles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["title"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles("signal 1985 crimson"), [FILM]);
    assert_eq!(titles("signal nobody"), Vec::<serde_json::Value>::new());
    assert_eq!(titles(" "), Vec::<serde_json::Value>::new());
}

#[test]
fn titles_of_a_server_before_10_11_are_found_in_its_library() {
    let server = servers("cellar-10.10").join("10.10.7/data");
    let program = Program::new();
    program.ok(&["snapshot", server.to_str().unwrap()]);
    let (found, code) = program.json(&["find", "distant circus"]);
    let titled = |kind: &str| {
        found["titles"].as_array().unwrap().iter().find(|titled| titled["kind"] == kind).cloned()
    };
    assert_eq!(
        (code, titled("album").unwrap()["title"].as_str()),
        (0, Some("Distant Circus")),
        "{found}"
    );
    let paths = |titled: serde_json::Value| {
        titled["paths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (films, _) = program.json(&["find", "hidden signal"]);
    let folder = films["titles"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|film| paths(film.clone()))
        .find(|path| path.starts_with("metadata/library/"))
        .unwrap();
    let above = folder.rsplit_once('/').unwrap().0;
    assert!(
        program.ok(&["ls", &format!("latest:{above}")]).contains("Hidden Signal 4"),
        "titles beside ids"
    );
}

#[test]
fn one_item_comes_back_by_its_title_and_several_are_listed() {
    let (program, data) = attic();
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--item", FILM]);
    assert!(
        out.join(FOLDER).join("poster.jpg").is_file() && out.join(FOLDER).join("chapters").is_dir()
    );
    assert!(!out.join("config").exists());
    let (refused, code) = program.json(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--item",
        "Distant Garden",
    ]);
    assert_eq!(code, 2);
    assert!(
        refused["error"]["hint"].as_str().unwrap().contains("d4e85deccfd70ca121a2caa5221a3bf7"),
        "{refused}"
    );
    for args in [["--item", "nobody is called so"], ["--item", ""]] {
        assert_eq!(
            program
                .json(
                    &[
                        &["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()],
                        &args[..]
                    ]
                    .concat()
                )
                .1,
            1
        );
    }
}

#[test]
fn a_poster_of_another_name_is_told_and_removed_where_the_poster_is_asked_for() {
    let (program, data) = attic();
    let folder = data.join(FOLDER);
    let before = names(&folder);
    let poster = std::fs::read(folder.join("poster.jpg")).unwrap();
    // What the dashboard does.
    std::fs::remove_file(folder.join("poster.jpg")).unwrap();
    write(folder.join("poster.png"), "newer");
    write(folder.join("logo.png"), "of something else");
    let restore = ["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()];
    let (told, code) = program.json(&[&restore[..], &["--only", "metadata"]].concat());
    assert_eq!(code, 0);
    assert!(
        told["remarks"].to_string().contains(&format!("{FOLDER}/poster.png) is not in the snapshot, and the server still shows it instead of poster.jpg")),
        "{told}"
    );
    assert_eq!(
        names(&folder),
        [&before[..], &["logo.png".to_owned(), "poster.png".to_owned()]].concat().tap_sorted()
    );
    std::fs::remove_file(folder.join("poster.jpg")).unwrap();
    let (dry, _) = program.json(&[&restore[..], &["--item", FILM, "poster", "--dry-run"]].concat());
    assert!(dry["remarks"].to_string().contains("would be deleted"), "{dry}");
    assert!(folder.join("poster.png").exists());
    let (done, code) = program.json(&[&restore[..], &["--item", FILM, "poster"]].concat());
    assert_eq!((code, done["restored"]["files"].as_u64()), (0, Some(1)), "{done}");
    assert!(done["remarks"].to_string().contains("refresh these items in the dashboard"), "{done}");
    assert_eq!(std::fs::read(folder.join("poster.jpg")).unwrap(), poster);
    assert!(
        !folder.join("poster.png").exists() && folder.join("logo.png").exists(),
        "only what shows the same goes"
    );
    // A picture in its place is told as well, and one that goes with all else that the snapshot
    // lacks.
    write(folder.join("poster.png"), "newer still");
    let told =
        program.json(&[&restore[..], &["--path", &format!("{FOLDER}/poster.jpg")]].concat()).0;
    assert!(told["remarks"].to_string().contains("poster.png"), "{told}");
    let done = program.json(&[&restore[..], &["--only", "metadata", "--delete"]].concat()).0;
    assert!(
        done["remarks"].to_string().contains("refresh these items in the dashboard")
            && !folder.join("poster.png").exists(),
        "{done}"
    );
    write(folder.join("logo.png"), "of something else");
    write(folder.join("folder.webp"), "another way to call it");
    program.ok(&[&restore[..], &["--only", "metadata", "--replace-pictures"]].concat());
    assert!(!folder.join("folder.webp").exists() && folder.join("logo.png").exists());
}

#[test]
fn a_title_stands_for_a_path_in_ls_cat_and_history() {
    let (program, data) = attic();
    let listed = program.ok(&["ls", "latest", "--item", FILM]);
    assert!(
        listed.contains(&format!("{FOLDER}/poster.jpg")) && listed.contains("chapters/"),
        "{listed}"
    );
    let entries =
        program.json(&["ls", "latest", "--item", FILM]).0["entries"].as_array().unwrap().len();
    assert_eq!(entries, listed.lines().count());
    let folders = program.ok(&["ls", "latest:metadata/library/11"]);
    assert!(folders.contains(&format!("{FOLDER}/  ({FILM})")), "{folders}");
    assert_eq!(program.json(&["ls", "latest:metadata/library/11"]).0["entries"][0]["title"], FILM);
    let poster =
        program.command(&["cat", "latest", "--item", FILM, "poster"]).output().unwrap().stdout;
    assert_eq!(poster, std::fs::read(data.join(FOLDER).join("poster.jpg")).unwrap());
    let (history, code) = program.json(&["history", "--item", FILM, "poster"]);
    assert_eq!(
        (code, history["path"].as_str()),
        (0, Some(format!("{FOLDER}/poster.jpg").as_str())),
        "{history}"
    );
    assert_eq!(program.json(&["history"]).1, 2);
}

#[test]
fn a_diff_of_one_item_shows_its_files_alone() {
    let (program, data) = attic();
    write(data.join(FOLDER).join("poster.jpg"), "another");
    write(data.join("metadata/People/new.jpg"), "of somebody else");
    write(data.join("config/other.xml"), "<other />");
    let data = data.to_str().unwrap();
    let changed = |document: &serde_json::Value| -> Vec<String> {
        document["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected = vec![format!("{FOLDER}/poster.jpg")];
    assert_eq!(
        changed(&program.json(&["diff", "latest", "--data-dir", data, "--item", FILM]).0),
        expected
    );
    program.ok(&["snapshot", data]);
    assert_eq!(
        changed(&program.json(&["diff", "latest~1", "latest", "--item", "crimson"]).0),
        expected
    );
    let (unknown, code) =
        program.json(&["diff", "latest~1", "latest", "--item", "nobody is called so"]);
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(code == 1 && message.contains("nothing is called"), "{unknown}");
}

#[test]
fn the_data_directory_is_taken_in_either_way() {
    let (program, data) = attic();
    let data = data.to_str().unwrap();
    for args in [
        vec!["snapshot", "--data-dir", data],
        vec!["source", "--data-dir", data],
        vec!["restore", "latest", "--in-place", data],
    ] {
        program.ok(&args);
    }
    assert_eq!(program.json(&["snapshot", data, "--data-dir", data]).1, 2);
}

trait Sorted {
    fn tap_sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn tap_sorted(mut self) -> Self {
        self.sort();
        self
    }
}
