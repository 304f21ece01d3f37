//! What users type and programs rely on: JSON, exit codes, errors, help.

use super::support::*;

#[test]
fn every_json_document_has_the_keys_of_the_contract() {
    let program = Program::new();
    let data = own_fixture();
    let data = data.to_str().unwrap();
    let other = program.home.path().join("made");
    let (init, code) = program.json(&["--repo", other.to_str().unwrap(), "init"]);
    assert_eq!(code, 0);
    for key in ["id", "path", "format", "encrypted"] {
        assert!(!init["repository"][key].is_null(), "{key}");
    }
    let (source, code) = program.json(&["source", data]);
    assert_eq!(code, 0);
    assert!(
        source["instance"]["paths"]["database"].as_str().unwrap().ends_with("data/jellyfin.db")
    );
    assert!(source["categories"]["database"]["bytes"].as_u64().unwrap() > 0);
    let (snapshot, code) =
        program.json(&["snapshot", data, "--label", "before 12.1", "--note", "just in case"]);
    assert_eq!(code, 0);
    for key in ["id", "time", "label", "server_version", "categories"] {
        assert!(!snapshot["snapshot"][key].is_null(), "{key}");
    }
    assert!(snapshot["snapshot"].get("parent").is_some_and(serde_json::Value::is_null));
    for (group, keys) in [
        ("files", &["total", "new", "changed", "unchanged", "gone"][..]),
        ("bytes", &["source", "read", "new_raw", "new_stored"]),
    ] {
        keys.iter().for_each(|key| assert!(snapshot[group][key].is_u64(), "{group}.{key}"));
    }
    assert!(snapshot["seconds"].is_f64() && snapshot["problems"].is_array());
    let (list, _) = program.json(&["list"]);
    assert_eq!(list["snapshots"][0]["label"], "before 12.1");
    let (show, _) = program.json(&["show", "before 12.1"]);
    assert!(show["unique_stored"].as_u64().unwrap() > 1 << 20);
    let (ls, _) = program.json(&["ls", "latest:config"]);
    let entry = ls["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["path"] == "config/system.xml")
        .unwrap();
    for key in ["path", "kind", "size", "mtime", "mode"] {
        assert!(!entry[key].is_null(), "{key}");
    }
    let (restore, _) = program.json(&[
        "restore",
        "latest",
        "--to",
        program.home.path().join("out").to_str().unwrap(),
    ]);
    for key in ["files", "bytes", "unchanged", "deleted"] {
        assert!(restore["restored"][key].is_u64(), "{key}");
    }
    assert!(program.json(&["stats"]).0["stats"]["deduplication"].is_f64());
}

#[test]
fn exit_codes_and_error_documents_are_those_of_the_contract() {
    let program = Program::new();
    let (error, code) = program.json(&["list"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (1, Some("no-repository")));
    for key in ["kind", "message", "causes", "hint"] {
        assert!(error["error"].get(key).is_some(), "{key}");
    }
    assert_eq!(program.run(&["no-such-command"]).status.code(), Some(2));
    let (error, code) = program.json(&["snapshot", "--only", "images"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("usage")));
    let (error, code) = program.json(&["restore", "latest"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("usage")));
    let empty = program.home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (error, code) = program.json(&["snapshot", "--plain", empty.to_str().unwrap()]);
    assert_eq!((code, error["error"]["kind"].as_str()), (1, Some("no-source")));
    let (error, _) = program.json(&["snapshot", empty.to_str().unwrap()]);
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("does not look like a Jellyfin data directory"),
        "{error}"
    );
    assert_eq!(program.run(&["--help"]).status.code(), Some(0));
}

#[test]
fn an_error_says_what_why_and_what_to_do() {
    let program = Program::new();
    let output = program.run(&["show", "latest"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let repo = program.repo.display();
    assert_eq!(
        text,
        format!(
            "Error: there is no jellyvault repository at {repo}\nHint: Give the repository's path with --repo PATH or JELLYVAULT_REPO. The first jellyvault snapshot creates a repository.\n"
        )
    );
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let output = program.run(&["cat", "latest:config/nothing.xml"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("has no config/nothing.xml\nHint: Run jellyvault ls"), "{text}");
    let output = program.run(&["show", "upgrade"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("Hint: The newest snapshots are: "));
    let output = program.run(&["cat", "latest:config"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn cat_writes_the_files_own_bytes_and_nothing_else() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let output = program.run(&["cat", "latest:config/users/Bjørn/profile.png"]);
    assert_eq!(
        output.stdout,
        std::fs::read(own_fixture().join("config/users/Bjørn/profile.png")).unwrap()
    );
    assert!(output.stderr.is_empty());
}

#[test]
fn nothing_but_the_answer_is_on_standard_output_and_no_bar_without_a_terminal() {
    let program = Program::new();
    let output = program.run(&["snapshot", own_fixture().to_str().unwrap()]);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.starts_with("Snapshot ") && !out.contains('\u{1b}'), "{out}");
    assert!(err.contains("password hashes and access tokens") && !err.contains('\u{1b}'), "{err}");
    let again = program.run(&["-q", "snapshot", own_fixture().to_str().unwrap()]);
    assert!(again.stdout.is_empty() && again.stderr.is_empty());
}

#[test]
fn the_repository_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    for entry in walkdir::WalkDir::new(&program.repo) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(
            mode,
            if entry.file_type().is_dir() { 0o700 } else { 0o600 },
            "{}",
            entry.path().display()
        );
    }
}

#[test]
fn a_repository_inside_the_source_is_left_out_of_it() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let repo = data.join("vault");
    let args = ["--repo", repo.to_str().unwrap(), "snapshot", data.to_str().unwrap()];
    let (first, _) = program.json(&args);
    let (second, _) = program.json(&args);
    assert_eq!(first["files"]["total"], second["files"]["total"]);
    let listing = program.ok(&["--repo", repo.to_str().unwrap(), "ls", "-r", "latest"]);
    assert!(!listing.contains("vault"), "{listing}");
}

#[test]
fn two_captures_into_one_repository_both_succeed() {
    let program = Program::new();
    let (a, b) = (program.home.path().join("a"), program.home.path().join("b"));
    for (folder, seed) in [(&a, "a"), (&b, "b")] {
        for n in 0..300 {
            write(folder.join(format!("{n}")), noise(&format!("{seed}{n}"), 20_000));
        }
    }
    program.ok(&["init"]);
    let run = |folder: &std::path::Path| {
        program
            .command(&["--json", "snapshot", "--plain", folder.to_str().unwrap()])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let (mut first, mut second) = (run(&a), run(&b));
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let (list, _) = program.json(&["list"]);
    for snapshot in list["snapshots"].as_array().unwrap() {
        let folder =
            std::path::Path::new(snapshot["source"]["directories"]["folder"].as_str().unwrap());
        let out = program.home.path().join("out").join(folder.file_name().unwrap());
        program.ok(&["restore", snapshot["id"].as_str().unwrap(), "--to", out.to_str().unwrap()]);
        assert_same_trees(&facts(folder, &|_| false), &facts(&out, &|_| false));
    }
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn the_reference_in_docs_is_what_the_program_says() {
    let program = Program::new();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let text = program.ok(&["markdown-help"]);
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        text,
        "run: cargo run -- markdown-help > docs/cli.md"
    );
}

#[test]
fn completions_and_the_manual_page_are_written() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(program.ok(&["completions", shell]).contains("restore"), "{shell}");
    }
    let man = program.ok(&["man"]);
    assert!(
        man.contains(".TH jellyvault") && man.contains("jellyvault\\-restore"),
        "{}",
        &man[..200]
    );
}

#[test]
fn ctrl_c_stops_cleanly_and_the_next_run_uses_what_was_stored() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..600 {
        write(
            source.join(format!("{n}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 150_000)].concat(),
        );
    }
    let mut child = program
        .command(&["snapshot", "--plain", source.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !program.repo.join("packs").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(child.try_wait().unwrap().is_none_or(|status| status.success()));
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let code = child.wait().unwrap().code();
    // On a very fast machine the capture may have been done.
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
    let (report, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!((code, report["files"]["total"].as_u64()), (0, Some(600)));
    let (stats, _) = program.json(&["stats"]);
    assert!(stats["stats"]["pack_bytes"].as_u64().unwrap() < 92_000_000, "{stats}");
}

#[test]
fn two_first_snapshots_at_once_both_succeed() {
    for round in 0..6 {
        let program = Program::new();
        let source = program.home.path().join("source");
        write(source.join("file"), format!("round {round}"));
        let args = ["snapshot", "--plain", source.to_str().unwrap()];
        let both: Vec<_> = (0..2)
            .map(|_| {
                program
                    .command(&args)
                    .stderr(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in both {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_directory_for_private_copies_is_looked_at_before_anything_is_done() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    for scratch in [program.home.path().join("missing"), data.join("cache")] {
        let refused = program.run(&[
            "snapshot",
            data.to_str().unwrap(),
            "--scratch-dir",
            scratch.to_str().unwrap(),
        ]);
        assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stdout));
    }
    assert!(!program.home.path().join("missing").exists());
    assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 0);
    let (missing, code) = program.json(&["restore", "latest"]);
    let message = missing["error"]["message"].as_str().unwrap();
    assert!(
        code == 2 && message.contains("required arguments were not provided: --to"),
        "{message}"
    );
    let refused = program.run(&["restore", "latest", "--to", "x", "--keep-old"]);
    assert_eq!(refused.status.code(), Some(2));
    // Meant as a path of the snapshot, as other programs have it.
    let (refused, code) = program.json(&["restore", "latest", "config/system.xml", "--to", "x"]);
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(code == 2 && hint.contains("--path config/system.xml"), "{refused}");
}

#[test]
fn a_label_that_several_snapshots_have_is_an_error_that_lists_them() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("file"), "text");
    let snapshot = ["snapshot", "--plain", source.to_str().unwrap(), "--label"];
    program.ok(&[&snapshot[..], &["before upgrade"]].concat());
    let (refused, code) = program.json(&[&snapshot[..], &["before upgrade"]].concat());
    assert!(
        code == 2 && refused["error"]["message"].as_str().unwrap().contains("is already used"),
        "{refused}"
    );
    for bad in ["", " ", "before 12:1", "two\nlines", "\u{1b}[31mred", "latest", "latest~2"] {
        let (refused, code) = program.json(&[&snapshot[..], &[bad]].concat());
        assert_eq!(
            (code, refused["error"]["kind"].as_str()),
            (2, Some("usage")),
            "{bad:?} {refused}"
        );
    }
    assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
    // Older versions allowed it.
    let repository = jellyvault::store::Repository::open(&program.repo).unwrap();
    let options = jellyvault::ops::SnapshotOptions {
        label: Some("before upgrade".to_owned()),
        ..Default::default()
    };
    let interrupt = jellyvault::progress::Interrupt::default();
    jellyvault::ops::snapshot(
        &repository,
        &jellyvault::ops::SourceSpec::plain(&source).unwrap(),
        &options,
        &watch(&interrupt),
    )
    .unwrap();
    drop(repository);
    let (report, code) = program.json(&["show", "before upgrade"]);
    assert_eq!(code, 1, "{report}");
    assert!(
        report["error"]["message"].as_str().unwrap().contains("matches 2 snapshots"),
        "{report}"
    );
}
