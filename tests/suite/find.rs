//! Where a file is and was: against what was done to it.

use super::support::*;

fn ids(program: &Program) -> Vec<String> {
    let (list, _) = program.json(&["list"]);
    list["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_history_tells_when_a_file_appeared_changed_vanished_and_came_back() {
    let program = Program::new();
    let source = program.home.path().join("plain");
    let folder = source.to_str().unwrap().to_owned();
    let snap = || program.ok(&["snapshot", "--plain", &folder]);
    write(source.join("keep"), "k");
    snap();
    write(source.join("a/x.jpg"), "one");
    snap();
    snap();
    write(source.join("a/x.jpg"), "twoo");
    snap();
    let_settle();
    std::fs::File::options()
        .write(true)
        .open(source.join("a/x.jpg"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    snap();
    std::fs::remove_file(source.join("a/x.jpg")).unwrap();
    snap();
    write(source.join("a/x.jpg"), "twoo");
    snap();
    let ids = ids(&program);
    let (history, code) = program.json(&["history", "a/x.jpg"]);
    assert_eq!(code, 0);
    let events: Vec<(String, usize, u64)> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let at = ids.iter().position(|id| event["snapshot"]["id"] == id.as_str()).unwrap();
            (event["change"].as_str().unwrap().to_owned(), at, event["size"].as_u64().unwrap_or(0))
        })
        .collect();
    let expected = [
        ("appeared", 1, 3),
        ("changed", 3, 4),
        ("metadata", 4, 4),
        ("vanished", 5, 0),
        ("back", 6, 4),
    ];
    assert_eq!(events, expected.map(|(change, at, size)| (change.to_owned(), at, size)));
    // The same story, found by a pattern and by content.
    let (found, _) = program.json(&["find", "*.jpg"]);
    let versions = found["matches"][0]["versions"].as_array().unwrap();
    let spans: Vec<_> = versions
        .iter()
        .map(|v| (v["first"]["id"].clone(), v["last"]["id"].clone(), v["gone_in"]["id"].clone()))
        .collect();
    let id = |at: usize| serde_json::json!(ids[at]);
    assert_eq!(
        spans,
        [
            (id(1), id(2), id(3)),
            (id(3), id(3), id(4)),
            (id(4), id(4), id(5)),
            (id(6), id(6), serde_json::Value::Null)
        ]
    );
    let same = program.home.path().join("same");
    write(&same, "twoo");
    let (by_content, _) = program.json(&["find", "--same-as", same.to_str().unwrap()]);
    assert_eq!(by_content["matches"][0]["path"], "a/x.jpg");
    assert_eq!(by_content["matches"][0]["versions"].as_array().unwrap().len(), 3);
    let (within, _) = program.json(&["find", "a", "--in", &ids[1]]);
    let paths: Vec<_> =
        within["matches"].as_array().unwrap().iter().map(|m| m["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["a", "a/x.jpg"]);
    // What is nowhere is an error with a way on; a pattern that fits nothing is an answer.
    assert_eq!(program.json(&["history", "b"]).0["error"]["kind"], "not-found");
    assert_eq!(program.json(&["find", "*.png"]).0["matches"], serde_json::json!([]));
    assert_eq!(program.run(&["find"]).status.code(), Some(2));
    // A bare name is what people type first.
    assert_eq!(program.json(&["find", "x.jpg"]).0["matches"][0]["path"], "a/x.jpg");
    assert_eq!(program.json(&["find", "./a/x.jpg"]).0["matches"][0]["path"], "a/x.jpg");
}

#[test]
fn files_of_every_class_are_found_by_content() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    program.ok(&["snapshot", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    let mut tried = 0;
    for entry in walkdir::WalkDir::new(&out) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() || entry.metadata().unwrap().len() == 0 {
            continue;
        }
        tried += 1;
        let path = entry.path().strip_prefix(&out).unwrap().to_str().unwrap();
        let (found, _) = program.json(&["find", "--same-as", entry.path().to_str().unwrap()]);
        assert!(
            found["matches"].as_array().unwrap().iter().any(|m| m["path"] == path),
            "{path}: {found}"
        );
    }
    assert!(tried > 50, "only {tried} files were tried");
}

#[test]
fn a_part_that_was_not_captured_says_nothing_about_its_files() {
    let program = Program::new();
    let source = program.home.path().join("data");
    copy_tree(&own_fixture(), &source);
    let data = source.to_str().unwrap();
    program.ok(&["snapshot", data]);
    program.ok(&["snapshot", data, "--only", "metadata"]);
    program.ok(&["snapshot", data]);
    let (history, _) = program.json(&["history", "config/branding.xml"]);
    assert_eq!(history["versions"].as_array().unwrap().len(), 1, "{history}");
    let (found, _) = program.json(&["find", "config/branding.xml"]);
    assert_eq!(found["matches"][0]["versions"].as_array().unwrap().len(), 1);
    // Where the newest do not have it: nobody knows whether the file is still there.
    std::fs::remove_file(source.join("config/branding.xml")).unwrap();
    for _ in 0..2 {
        program.ok(&["snapshot", data, "--only", "metadata"]);
    }
    let (history, _) = program.json(&["history", "config/branding.xml"]);
    let changes: Vec<&str> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["change"].as_str().unwrap())
        .collect();
    assert_eq!(changes, ["appeared", "unknown"], "{history}");
    assert!(
        program
            .ok(&["history", "config/branding.xml"])
            .contains("unknown: this snapshot could not read it or does not include it")
    );
    let (found, _) = program.json(&["find", "config/branding.xml"]);
    let version = &found["matches"][0]["versions"][0];
    assert_eq!(
        (&version["gone_in"], &version["unknown_since"]),
        (&serde_json::Value::Null, &history["versions"][1]["snapshot"]),
        "{found}"
    );
    program.ok(&["snapshot", data]);
    let (history, _) = program.json(&["history", "config/branding.xml"]);
    assert!(
        history["versions"].as_array().unwrap().iter().any(|event| event["change"] == "vanished"),
        "{history}"
    );
}
