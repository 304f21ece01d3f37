//! A look at the live source gives exactly what a snapshot and a diff would, for every size and
//! kind of file.

use serde_json::Value;

use super::support::{Program, copy_tree, noise, own_fixture, write};

/// Sizes around every limit of the engine: of small files, whole chunks, windows, inline pieces and
/// lists.
const SIZES: [usize; 12] = [
    0,
    1,
    511,
    512,
    4096,
    262_144,
    262_145,
    1 << 20,
    (1 << 20) + 1,
    2_300_000,
    6_000_000,
    12_000_001,
];

fn contents(seed: &str, size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let text: Vec<u8> =
        format!("<film seed=\"{seed}\"/>\n").into_bytes().into_iter().cycle().take(size).collect();
    let mut jpeg = noise(seed, size);
    jpeg.splice(..size.min(3), [0xff, 0xd8, 0xff].into_iter().take(size.min(3)));
    let mut database = noise(&format!("{seed} database"), size);
    if size >= 100 {
        let mut header = b"SQLite format 3\0\x10\x00\x01\x01\x00\x40\x20\x20".to_vec();
        header.resize(100, 0);
        database.splice(..100, header);
    }
    vec![
        ("txt", text),
        ("jpg", jpeg),
        ("bin", noise(&format!("{seed} other"), size)),
        ("db", database),
    ]
}

/// What is compared: the changes, the counts and the costs, without what tells the sides apart.
fn comparable(document: &Value) -> Vec<String> {
    let mut summary = document["summary"].clone();
    // Nothing of a live source is stored yet.
    let total = summary["total"].as_object_mut().into_iter();
    total.for_each(|total| total.retain(|name, _| !name.contains("stored")));
    for category in
        summary["categories"].as_object_mut().into_iter().flat_map(|all| all.values_mut())
    {
        category.as_object_mut().unwrap().retain(|name, _| !name.contains("stored"));
    }
    document["changes"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&summary])
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_live_diff_tells_what_a_snapshot_and_a_diff_tell_for_every_size_and_kind() {
    let program = Program::new();
    let source = program.home.path().join("jf");
    copy_tree(&own_fixture(), &source);
    let folders = [
        "data/attachments/00",
        "metadata/library/00",
        "plugins/Made/x",
        "config/users/Ana",
        "data/trickplay/00",
        "root/default/Films",
    ];
    for (number, size) in SIZES.into_iter().enumerate() {
        for (kind, bytes) in contents(&format!("before {size}"), size) {
            write(
                source.join(folders[number % folders.len()]).join(format!("changed-{size}.{kind}")),
                bytes,
            );
        }
    }
    let data = source.to_str().unwrap().to_owned();
    // Some files only begin like a database, which is said.
    assert!([0, 3].contains(&program.json(&["snapshot", &data]).1));
    for (number, size) in SIZES.into_iter().enumerate() {
        let folder = source.join(folders[number % folders.len()]);
        for (kind, bytes) in contents(&format!("after {size}"), size) {
            write(folder.join(format!("changed-{size}.{kind}")), &bytes);
            write(folder.join(format!("new-{size}.{kind}")), noise(&format!("new {kind}"), size));
        }
    }
    let looks = [
        vec!["diff", "latest"],
        vec!["diff", "latest", "--rows"],
        vec!["diff", "latest", "--patch"],
    ];
    let live: Vec<Value> = looks
        .iter()
        .map(|args| {
            let (document, code) = program.json(args);
            assert!([0, 3].contains(&code), "{args:?}: {document}");
            document
        })
        .collect();
    assert!([0, 3].contains(&program.json(&["snapshot", &data]).1));
    for (mut args, live) in looks.into_iter().zip(live) {
        args[1] = "latest~1";
        args.insert(2, "latest");
        let (stored, code) = program.json(&args);
        assert_eq!(code, 0, "{stored}");
        let (live, stored_lines) = (comparable(&live), comparable(&stored));
        assert_eq!(live.iter().find(|line| !stored_lines.contains(line)), None, "{args:?}");
        assert_eq!(stored_lines.iter().find(|line| !live.contains(line)), None, "{args:?}");
        assert!(stored["changes"].as_array().unwrap().len() > SIZES.len() * 4);
    }
}

#[test]
fn a_live_file_that_holds_the_same_with_other_holes_did_not_change() {
    use std::os::unix::fs::FileExt;
    let program = Program::new();
    let source = program.home.path().join("folder");
    let mut bytes = noise("holes", 3 << 20);
    bytes[1 << 20..2 << 20].fill(0);
    write(source.join("file"), &bytes);
    let stamp = std::fs::metadata(source.join("file")).unwrap().modified().unwrap();
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let file = std::fs::File::create(source.join("file")).unwrap();
    file.set_len(3 << 20).unwrap();
    file.write_all_at(&bytes[..1 << 20], 0).unwrap();
    file.write_all_at(&bytes[2 << 20..], 2 << 20).unwrap();
    file.set_modified(stamp).unwrap();
    let (document, code) = program.json(&["diff", "latest"]);
    assert_eq!((code, &document["changes"]), (0, &serde_json::json!([])), "{document}");
}
