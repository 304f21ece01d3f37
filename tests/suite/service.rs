//! What is done by itself: run, serve, status, config, notify, setup.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use needs::needs;
use serde_json::Value;

use super::support::*;

/// A server, a configuration file for it, and a program that sees both.
struct Home {
    program: Program,
    data: PathBuf,
    config: PathBuf,
}

fn home(more: &str) -> Home {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let config = program.home.path().join(".config/jellyvault/config.toml");
    write(&config, format!("[server]\ndata_dir = {:?}\n{more}", data.to_str().unwrap()));
    Home { program, data, config }
}

fn names(jobs: &Value) -> Vec<&str> {
    jobs.as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap()).collect()
}

#[test]
fn a_run_does_what_is_due_once_and_says_what_comes_next() {
    let home = home(
        "[snapshot]\nevery = \"62d\"\n[retention]\nevery = \"62d\"\n[check]\nevery = \"62d\"\n[drill]\nevery = \"62d\"\n",
    );
    let (plan, code) = home.program.json(&["run", "--dry-run"]);
    assert_eq!((code, plan["due"].clone()), (0, serde_json::json!(["snapshot"])), "{plan}");
    assert!(!home.program.repo.exists(), "a dry run makes nothing");
    let (first, code) = home.program.json(&["run"]);
    assert_eq!((code, names(&first["jobs"])), (0, vec!["snapshot"]), "{first}");
    assert_eq!(first["standing"]["level"], "good", "{first}");
    // The repository is there now.
    let (second, code) = home.program.json(&["run"]);
    assert_eq!(
        (code, names(&second["jobs"])),
        (0, vec!["retention", "check", "drill"]),
        "{second}"
    );
    let (third, code) = home.program.json(&["run"]);
    assert_eq!((code, names(&third["jobs"])), (0, vec![]), "{third}");
    assert_eq!(names(&third["next"]), ["snapshot", "retention", "check", "drill"]);
    assert!(home.program.ok(&["run"]).starts_with("Nothing is due. Next: snapshot at "));
    assert_eq!(home.program.ok(&["-q", "run"]), "");
    // Whoever takes a snapshot, it is done.
    let list = home.program.json(&["list"]).0;
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1);
    let (asked, code) = home.program.json(&["run", "--job", "check,snapshot"]);
    assert_eq!((code, names(&asked["jobs"])), (0, vec!["snapshot", "check"]), "{asked}");
    assert_eq!(home.program.json(&["run", "--job", "backup"]).1, 2);
}

#[test]
fn the_rules_of_the_configuration_are_those_that_forget() {
    let home = home("[retention]\nkeep_last = 2\n");
    for _ in 0..4 {
        home.program.ok(&["snapshot"]);
    }
    let (done, code) = home.program.json(&["run", "--job", "retention"]);
    assert_eq!(code, 0, "{done}");
    assert!(
        done["jobs"][0]["what"].as_str().unwrap().starts_with("2 snapshots forgotten"),
        "{done}"
    );
    assert_eq!(home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn the_status_is_one_sentence_and_its_exit_code_is_for_monitoring() {
    let home = home("");
    let (bad, code) = home.program.json(&["status"]);
    assert_eq!((code, bad["status"]["level"].as_str()), (3, Some("bad")), "{bad}");
    assert!(
        bad["status"]["reasons"][0]["todo"].as_str().unwrap().contains("take the first snapshot"),
        "{bad}"
    );
    home.program.ok(&["run"]);
    let good = home.program.ok(&["status"]);
    assert!(
        good.starts_with("Protected. The last snapshot was taken ")
            && good.contains("Next: snapshot at "),
        "{good}"
    );
    assert_eq!(home.program.ok(&["-q", "status", "--healthy"]), "");
    // A problem of the last snapshot.
    write(home.data.join("config/system.xml"), "");
    let_settle();
    home.program.run(&["snapshot"]);
    let (attention, code) = home.program.json(&["status"]);
    assert_eq!(
        (code, attention["status"]["level"].as_str()),
        (3, Some("attention")),
        "{attention}"
    );
    assert!(
        attention["status"]["reasons"][0]["what"]
            .as_str()
            .unwrap()
            .contains("the last snapshot has 1 problem"),
        "{attention}"
    );
    home.program.ok(&["status", "--healthy"]);
    // Damage.
    let pack = find_pack(&home.program.repo);
    let bytes = std::fs::read(&pack).unwrap();
    std::fs::remove_file(&pack).unwrap();
    write(&pack, vec![0; bytes.len()]);
    let (failed, code) = home.program.json(&["run", "--job", "check"]);
    assert_eq!((code, failed["jobs"][0]["ok"].as_bool()), (1, Some(false)), "{failed}");
    let (bad, code) = home.program.json(&["status", "--healthy"]);
    assert_eq!((code, bad["status"]["level"].as_str()), (1, Some("bad")), "{bad}");
}

fn find_pack(repo: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut folders = vec![repo.join("packs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
        }
    }
    found.into_iter().max_by_key(|pack| std::fs::metadata(pack).unwrap().len()).unwrap()
}

#[test]
fn without_a_schedule_of_its_own_a_server_that_cron_captures_is_not_called_late() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let said = program.ok(&["status"]);
    assert!(
        said.starts_with("Protected.") && said.contains("No snapshots are scheduled here"),
        "{said}"
    );
}

#[test]
fn programs_run_around_a_job_and_one_before_it_can_stop_it() {
    let home = home(
        "[hooks]\nbefore = [\"sh\", \"-c\", \"echo $JELLYVAULT_JOB >> $HOME/before\"]\nafter = [\"touch\", \"AFTER\"]\n",
    );
    let after = home.program.home.path().join("after");
    let text =
        std::fs::read_to_string(&home.config).unwrap().replace("AFTER", after.to_str().unwrap());
    write(&home.config, text);
    home.program.ok(&["run", "--job", "snapshot"]);
    assert_eq!(
        std::fs::read_to_string(home.program.home.path().join("before")).unwrap(),
        "snapshot\n"
    );
    assert!(after.exists());
    write(
        &home.config,
        "[hooks]\nbefore = [\"sh\", \"-c\", \"echo the disk is away >&2; exit 1\"]\n",
    );
    let (failed, code) = home.program.json(&["run", "--job", "snapshot"]);
    assert_eq!(code, 1, "{failed}");
    assert!(
        failed["jobs"][0]["what"].as_str().unwrap().contains("the program set as before in [hooks] failed: sh failed (exit status: 1): the disk is away"),
        "{failed}"
    );
    assert_eq!(home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
}

/// A receiver of alarms: each is appended to a file.
const RECEIVER: &str = "[notify]\ncommand = [\"sh\", \"-c\", \"printf '%s|%s|%s\\\\n' \\\"$1\\\" \\\"$2\\\" \\\"$JELLYVAULT_LEVEL\\\" >> $HOME/alarms\", \"alarm\"]\nabsent_after = \"1s\"\n";

#[test]
fn a_program_around_a_job_gets_nothing_that_leads_to_a_secret() {
    let home = home("[hooks]\nafter = [\"sh\", \"-c\", \"env > $HOME/after\"]\n");
    let done = home
        .program
        .command(&["run", "--job", "snapshot"])
        .env("CREDENTIALS_DIRECTORY", "/nothing/SECRET")
        .env("JELLYVAULT_TO_PASSPHRASE_COMMAND", "echo SECRET")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let after = std::fs::read_to_string(home.program.home.path().join("after")).unwrap();
    assert!(after.contains("JELLYVAULT_JOB=snapshot") && !after.contains("SECRET"), "{after}");
}

#[test]
fn an_alarm_is_sent_once_and_so_is_the_all_clear() {
    let home = home(RECEIVER);
    let alarms =
        || std::fs::read_to_string(home.program.home.path().join("alarms")).unwrap_or_default();
    home.program.ok(&["run", "--job", "snapshot"]);
    assert_eq!(alarms(), "");
    let away = home.program.home.path().join("away");
    std::fs::rename(&home.program.repo, &away).unwrap();
    home.program.run(&["run"]);
    assert_eq!(alarms(), "", "a disk that is away for a moment is no alarm");
    std::thread::sleep(Duration::from_millis(1100));
    home.program.run(&["run"]);
    let second = alarms();
    assert!(second.contains(": a problem|Not protected."), "{second}");
    home.program.run(&["run"]);
    assert_eq!(alarms(), second, "nothing new, nothing told");
    std::fs::rename(&away, &home.program.repo).unwrap();
    home.program.ok(&["run"]);
    assert!(
        alarms().strip_prefix(&second).unwrap().contains(": all is well again|Protected. "),
        "{}",
        alarms()
    );
    assert!(home.program.ok(&["notify", "test"]).contains("command: sent"));
    write(&home.config, "");
    assert_eq!(home.program.json(&["notify", "test"]).1, 2);
}

#[test]
fn a_report_tells_how_the_week_went_and_what_happened() {
    let home = home(RECEIVER);
    let alarms =
        || std::fs::read_to_string(home.program.home.path().join("alarms")).unwrap_or_default();
    home.program.ok(&["snapshot"]);
    // None is due before a week is over.
    let (plan, _) = home.program.json(&["run", "--dry-run"]);
    assert!(!plan["due"].to_string().contains("report"), "{plan}");
    let db = rusqlite::Connection::open(home.data.join("data/jellyfin.db")).unwrap();
    db.execute("UPDATE Users SET Username = 'Anna' WHERE Username = 'Ana'", []).unwrap();
    drop(db);
    let_settle();
    home.program.ok(&["snapshot"]);
    let (done, code) = home.program.json(&["run", "--job", "report"]);
    assert_eq!((code, done["jobs"][0]["ok"].clone()), (0, true.into()), "{done}");
    let told = alarms();
    for part in ["the last 7 days|Protected.", "2 snapshots added", "free.", "Anna", "|good"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let next = home.program.json(&["run"]).0["next"].to_string();
    assert!(next.contains("report"), "{next}");
    // Nobody to tell: nothing is scheduled, and that is said.
    write(&home.config, format!("[server]\ndata_dir = {:?}\n", home.data.to_str().unwrap()));
    let (done, code) = home.program.json(&["run", "--job", "report"]);
    assert!(code == 0 && done["jobs"][0]["what"].to_string().contains("no destination"), "{done}");
    assert!(!home.program.json(&["run"]).0["next"].to_string().contains("report"));
    // A receiver that is away.
    let failing = RECEIVER.replace("\"sh\"", "\"/does/not/exist\"");
    write(
        &home.config,
        format!("[server]\ndata_dir = {:?}\n{failing}", home.data.to_str().unwrap()),
    );
    let (done, code) = home.program.json(&["run", "--job", "report"]);
    assert!(
        code == 1 && done["jobs"][0]["what"].to_string().contains("could not be started"),
        "{done}"
    );
}

#[test]
fn a_wrong_configuration_is_told_with_its_line_and_secrets_are_not_shown() {
    let home = home("");
    write(&home.config, "[snapshot]\nevery = \"15m\"\nevry = 1\n");
    let (wrong, code) = home.program.json(&["config", "check"]);
    assert_eq!(code, 2);
    let message = wrong["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("line 3") && message.contains("evry") && message.contains("config.toml"),
        "{message}"
    );
    // A snapshot does not go on with half of what was meant.
    assert_eq!(home.program.json(&["snapshot"]).1, 2);
    write(
        &home.config,
        "[notify]\nntfy = \"https://ntfy.sh/S3CRET\"\ngotify = \"https://u:S3CRET@g.example/message?token=S3CRET\"\nhealthchecks = \"http://h.example/S3CRET\"\n\
         webhook = [\"\"\"https://w.example/\nS3CRET\"\"\"]\ncommand = [\"alarm\", \"S3CRET\"]\n[hooks]\nbefore = [\"curl\", \"https://x/S3CRET\"]\n\
         [encryption]\npassphrase_command = \"echo S3CRET\"\n",
    );
    assert!(home.program.ok(&["config", "check"]).contains("is valid"));
    let shown = home.program.ok(&["config", "show"]);
    assert!(
        !shown.contains("S3CRET")
            && shown.contains("ntfy.sh")
            && shown.contains("# Next snapshot: "),
        "{shown}"
    );
    assert!(toml_of(&shown), "it is a configuration still: {shown}");
    for wrong in [
        "[notify]\ncommand = \"curl S3CRET\"",
        "[hooks]\nbefore = \"mount S3CRET\"",
        "[notify]\nreminder = \"S3CRET\"",
        "[notify]\nemail = \"S3CRET\"",
        "[notify]\nntfy = \"S3CRET\"",
        "notify = \"S3CRET\"",
        "[notify]\nntfy = 7",
    ] {
        write(&home.config, wrong);
        let (document, code) = home.program.json(&["config", "check"]);
        let message = document["error"]["message"].as_str().unwrap();
        assert!(
            code == 2 && !message.contains("S3CRET") && !message.contains("untagged"),
            "{message}"
        );
    }
    write(&home.config, "");
    assert_eq!(
        home.program.ok(&["config", "example"]),
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/service/example.toml"))
            .unwrap()
    );
    let output = home
        .program
        .command(&["config", "show", "--json"])
        .env("JELLYVAULT_SNAPSHOT_EVERY", "2h")
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["variables"], serde_json::json!(["JELLYVAULT_SNAPSHOT_EVERY"]));
    assert_eq!(document["next"][0]["times"].as_array().unwrap().len(), 5);
    let named = home.program.home.path().join("named.toml");
    write(&named, "[check]\nenabled = false\n");
    assert!(
        home.program
            .ok(&["--config", named.to_str().unwrap(), "config", "show"])
            .contains("# Next check: never")
    );
}

fn toml_of(text: &str) -> bool {
    let dir = temp();
    let file = dir.path().join("shown.toml");
    write(&file, text);
    Program::new().run(&["--config", file.to_str().unwrap(), "config", "check"]).status.success()
}

#[test]
fn a_configuration_that_is_no_file_of_its_owner_is_refused() {
    let home = home("");
    let check = || home.program.json(&["config", "check"]);
    std::fs::remove_file(&home.config).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &home.config, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert_eq!(check().1, 2);
    std::fs::remove_file(&home.config).unwrap();
    write(&home.config, vec![b'#'; 1 << 20]);
    assert!(
        check().1 == 2 && check().0["error"]["message"].as_str().unwrap().contains("larger than"),
        "{}",
        check().0
    );
    // A directory that is not there is no reason to take another server.
    home.program.ok(&["--config", "/dev/null", "snapshot", home.data.to_str().unwrap()]);
    write(&home.config, "[server]\ndata_dir = \"/no/such/directory\"\n");
    assert_eq!(check().1, 2);
    let (failed, code) = home.program.json(&["run", "--job", "snapshot"]);
    assert!(
        code == 1 && failed["jobs"][0]["what"].as_str().unwrap().contains("/no/such/directory"),
        "{failed}"
    );
}

#[needs(root)]
#[test]
fn programs_in_a_file_that_others_can_change_are_not_run_as_root() {
    use std::os::unix::fs::PermissionsExt;
    let home = home("[hooks]\nafter = [\"true\"]\n");
    home.program.ok(&["config", "check"]);
    std::fs::set_permissions(&home.config, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (refused, code) = home.program.json(&["run"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
}

#[test]
fn the_lock_of_the_jobs_is_no_way_to_another_file() {
    let home = home("");
    home.program.ok(&["run", "--job", "snapshot"]);
    home.program.ok(&["run", "--job", "check"]);
    let (lock, other) =
        (home.program.repo.join("jobs.lock"), home.program.home.path().join("other"));
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&other, &lock).unwrap();
    home.program.ok(&["run", "--job", "check"]);
    assert!(!other.exists());
}

#[test]
fn who_wants_quiet_hears_what_is_new_and_what_could_not_be_told() {
    let home = home("[notify]\ncommand = [\"false\"]\n");
    home.program.ok(&["-q", "run", "--job", "snapshot"]);
    write(home.data.join("config/system.xml"), "");
    let_settle();
    let said = |output: std::process::Output| {
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, first) = said(home.program.run(&["-q", "run", "--job", "snapshot"]));
    assert!(
        code == Some(3)
            && first.contains("the alarm could not be sent by command")
            && first.contains("The last snapshot has 1 problem"),
        "{first}"
    );
    let text = std::fs::read_to_string(&home.config).unwrap().replace("false", "true");
    write(&home.config, text);
    assert!(
        said(home.program.run(&["-q", "run", "--job", "snapshot"]))
            .1
            .contains("The last snapshot has 1 problem")
    );
    assert_eq!(
        said(home.program.run(&["-q", "run", "--job", "snapshot"])),
        (Some(3), String::new()),
        "told once"
    );
}

#[test]
fn setup_writes_a_configuration_and_takes_the_first_snapshot() {
    let program = Program::new();
    let data = program.home.path().join("jelly fin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let config = program.home.path().join("my.toml");
    let repo = program.home.path().join("vault");
    let args = [
        "--config",
        config.to_str().unwrap(),
        "--repo",
        repo.to_str().unwrap(),
        "setup",
        "--data-dir",
        data.to_str().unwrap(),
        "--every",
        "1h",
    ];
    assert_eq!(program.json(&args).1, 0, "--json asks nothing");
    std::fs::remove_file(&config).unwrap();
    // What cannot be a repository is told before anything is written.
    let full = program.home.path().join("full");
    write(full.join("file"), "x");
    for repo in [full.to_str().unwrap(), "nas:/backup", "/etc/passwd"] {
        let (refused, code) = program.json(&[
            "--config",
            config.to_str().unwrap(),
            "--repo",
            repo,
            "setup",
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        assert!(code != 0 && !config.exists() && !Path::new("nas:").exists(), "{repo} {refused}");
    }
    // A pipe is no person.
    assert_eq!(program.run(&args).status.code(), Some(2));
    let done = program.run(&[&args[..], &["--yes", "--ntfy", "https://ntfy.sh/topic"]].concat());
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.starts_with("snapshot: snapshot "), "{said}");
    // The next step can be copied.
    assert!(
        String::from_utf8(done.stderr)
            .unwrap()
            .contains(&format!(" --config {} serve", config.display()))
    );
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        text.contains(&format!("repo = {:?}", repo.to_str().unwrap()))
            && text.contains("every = \"1h\"")
            && text.contains("ntfy = \"https://ntfy.sh/topic\""),
        "{text}"
    );
    let mut command = program.command(&["--config", config.to_str().unwrap(), "list", "--json"]);
    let listed: Value =
        serde_json::from_slice(&command.env_remove("JELLYVAULT_REPO").output().unwrap().stdout)
            .unwrap();
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    let (refused, code) = program.json(&args);
    assert!(
        code == 2 && refused["error"]["message"].as_str().unwrap().contains("exists already"),
        "{refused}"
    );
}

#[test]
fn serve_does_what_is_due_and_ends_cleanly() {
    let home = home("[check]\nenabled = false\n[retention]\nenabled = false\n");
    let socket = home.program.home.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut server = home
        .program
        .command(&["serve"])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "300000")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut buffer = [0; 512];
    let mut heard = Vec::new();
    let alive = |heard: &[String]| heard.iter().filter(|line| *line == "WATCHDOG=1").count();
    while !heard.iter().any(|line: &String| line.starts_with("STATUS=Protected."))
        || alive(&heard) < 5
    {
        let length = systemd.recv(&mut buffer).unwrap();
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(heard[0], "READY=1");
    let begun = Instant::now();
    let id = rustix::process::Pid::from_raw(server.id() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let status = server.wait().unwrap();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(30), "{status}");
    let mut said = String::new();
    server.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(
        said.contains("snapshot: snapshot ") && said.trim_end().ends_with("Stopped."),
        "{said}"
    );
    assert_eq!(home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_drill_restores_files_and_the_database_and_says_what_is_wrong() {
    let home = home("[drill]\nfiles = 30\n");
    home.program.ok(&["snapshot"]);
    let drill = || {
        let (document, code) = home.program.json(&["run", "--job", "drill"]);
        (
            document["jobs"][0]["ok"].as_bool().unwrap(),
            document["jobs"][0]["what"].as_str().unwrap().to_owned(),
            code,
        )
    };
    let (is_ok, what, code) = drill();
    assert!(
        is_ok
            && code == 0
            && what.starts_with("31 files of snapshot")
            && what.ends_with("data/jellyfin.db opened and checked"),
        "{what}"
    );
    // Nothing of it stays.
    let left: Vec<_> = walkdir::WalkDir::new(&home.program.repo)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_name() == "restored")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // Rows that refer to nothing are told, with what they break.
    run_sql(
        &home.data.join("data/jellyfin.db"),
        "PRAGMA foreign_keys = OFF; UPDATE Devices SET UserId = '00000000-0000-0000-0000-00000000ABCD'",
    );
    let_settle();
    home.program.ok(&["snapshot"]);
    let (is_ok, what, _) = drill();
    assert!(
        is_ok && what.contains("of Devices to Users") && what.contains("export --tables"),
        "{what}"
    );
    // A repository that cannot give back what it holds is an alarm.
    for pack in walkdir::WalkDir::new(home.program.repo.join("packs"))
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
    {
        let mut bytes = std::fs::read(pack.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes.iter_mut().skip(middle / 2).take(middle).for_each(|byte| *byte ^= 0x55);
        std::fs::remove_file(pack.path()).unwrap();
        std::fs::write(pack.path(), bytes).unwrap();
    }
    let (is_ok, what, code) = drill();
    assert!(!is_ok && code == 1, "{what}");
    let status = home.program.run(&["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("restore drill"), "{said}");
}

#[test]
fn an_armed_restore_is_done_once_before_the_next_start() {
    let home = home("");
    home.program.ok(&["snapshot"]);
    let poster = home.data.join("metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927/poster.jpg");
    let good = std::fs::read(&poster).unwrap();
    let expected = rows(&home.data.join("data/jellyfin.db"));
    let spoil = || {
        write(&poster, "another");
        run_sql(&home.data.join("data/jellyfin.db"), "UPDATE UserData SET Played = 1");
        let_settle();
    };
    let restored = || {
        (
            std::fs::read(&poster).unwrap() == good,
            rows(&home.data.join("data/jellyfin.db")) == expected,
        )
    };
    assert_eq!(
        (home.program.ok(&["armed"]), home.program.ok(&["armed", "--run"])),
        ("No restore is armed.\n".to_owned(), String::new())
    );
    spoil();
    let said = home.program.ok(&["restore", "latest", "--in-place", "--arm"]);
    assert!(
        said.contains("at the next start of Jellyfin") && said.contains("armed --cancel"),
        "{said}"
    );
    assert_eq!(restored(), (false, false), "nothing is changed yet");
    // What `latest` meant is what is restored.
    home.program.ok(&["snapshot"]);
    assert!(home.program.ok(&["armed"]).contains("restore 01"));
    let said = home.program.ok(&["armed", "--run"]);
    assert!(said.contains("restored in place"), "{said}");
    assert_eq!(restored(), (true, true));
    assert!(home.program.ok(&["armed"]).contains("The last one succeeded"));
    // Once only, also where it fails.
    spoil();
    assert_eq!((home.program.ok(&["armed", "--run"]), restored()), (String::new(), (false, false)));
    home.program.ok(&["restore", "latest~1", "--in-place", "--arm"]);
    let holder = rusqlite::Connection::open(home.data.join("data/jellyfin.db")).unwrap();
    holder.execute_batch("BEGIN; SELECT count(*) FROM Users").unwrap();
    let (document, code) = home.program.json(&["armed", "--run"]);
    assert!(code == 1 && document["words"].as_str().unwrap().contains("jellyfin.db"), "{document}");
    drop(holder);
    assert_eq!((home.program.ok(&["armed", "--run"]), restored()), (String::new(), (false, false)));
    assert!(home.program.ok(&["armed"]).contains("ended with exit code 1"));
    // Cancelled.
    home.program.ok(&["restore", "latest~1", "--in-place", "--arm"]);
    assert!(home.program.ok(&["armed", "--cancel"]).contains("cancelled"));
    assert_eq!((home.program.ok(&["armed", "--run"]), restored()), (String::new(), (false, false)));
    // What cannot be done without a question, or is not there, is not armed.
    for args in [
        vec!["restore", "latest", "--in-place", "--arm", "--delete"],
        vec!["restore", "latest", "--to", "/tmp/x", "--arm"],
    ] {
        assert_eq!(home.program.json(&args).1, 2, "{args:?}");
    }
    assert_eq!(home.program.json(&["restore", "no-such", "--in-place", "--arm"]).1, 1);
}

/// A server of this version: its log says so.
fn be_version(data: &Path, version: &str) {
    write(
        data.join("log/log_20261201.log"),
        format!(
            "[2026-12-01 00:00:00.000 +00:00] [INF] [1] Main: Jellyfin version: \"{version}\"\n"
        ),
    );
    let_settle();
}

#[test]
fn the_last_snapshot_of_a_version_is_protected() {
    let home = home("");
    let take = || home.program.json(&["snapshot"]).0["snapshot"]["id"].as_str().unwrap().to_owned();
    be_version(&home.data, "12.0.1");
    let (first, last) = (take(), take());
    be_version(&home.data, "12.1.0");
    take();
    take();
    let listed = home.program.json(&["list"]).0;
    let kept: Vec<&str> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["keep"] == true)
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(kept, [last.as_str()], "{listed}");
    home.program.ok(&["forget", "--keep-last", "1"]);
    let left = home.program.json(&["list"]).0;
    let left: Vec<&str> = left["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert!(left.len() == 2 && left[0] == last && left[0] != first, "{left:?}");
}

#[test]
fn two_that_do_the_jobs_do_not_do_them_twice() {
    let home = home("[hooks]\nbefore = [\"sleep\", \"1\"]\n");
    home.program.ok(&["run", "--job", "snapshot"]);
    let mut first = home.program.command(&["run", "--job", "check"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let (second, code) = home.program.json(&["run", "--job", "check"]);
    assert!(first.wait().unwrap().success());
    assert!(
        code == 0
            && second["busy"].as_str().unwrap().contains("another jellyvault is already running"),
        "{second}"
    );
}

#[test]
fn the_commands_take_the_server_and_the_repository_of_the_configuration() {
    let home = home("");
    let repo = home.program.home.path().join("elsewhere");
    let text = format!(
        "repo = {:?}\n{}",
        repo.to_str().unwrap(),
        std::fs::read_to_string(&home.config).unwrap()
    );
    write(&home.config, text);
    let run = |args: &[&str]| {
        let output = home.program.command(args).env_remove("JELLYVAULT_REPO").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["snapshot"]);
    assert!(repo.join("repo.toml").exists());
    assert!(run(&["source"]).contains(home.data.to_str().unwrap()));
    // Who names another directory means that one.
    let other = home.program.home.path().join("other");
    copy_tree(&own_fixture(), &other);
    assert!(run(&["source", other.to_str().unwrap()]).contains(other.to_str().unwrap()));
}

#[test]
fn what_is_shipped_for_systemd_and_compose_calls_what_there_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let (mut seen, mut values, mut named) = (0, 0, std::collections::BTreeSet::new());
    let folders = ["systemd", "compose", "apt", "unraid"]
        .map(|name| walkdir::WalkDir::new(folder.join(name)));
    for entry in
        folders.into_iter().flatten().map(Result::unwrap).filter(|entry| entry.path().is_file())
    {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines().filter(|line| {
            line.starts_with("ExecStart=")
                || line.contains("command: [")
                || line.contains("test: [")
        }) {
            let words: Vec<String> = line
                .split(|c: char| "=[], \"".contains(c))
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect();
            let own = words.iter().position(|word| word.ends_with("jellyvault")).unwrap();
            let program = Program::new();
            let args: Vec<&str> =
                words[own + 1..].iter().map(String::as_str).chain(["--help"]).collect();
            program.ok(&args);
            seen += 1;
        }
        for line in text.lines() {
            // Compose: `NAME: value`, perhaps behind a comment's sign; Unraid:
            // `Target="NAME" Default="value"`.
            let of_compose = line.trim().trim_start_matches("# ").split_once(": ");
            let quoted: Vec<&str> = line.split('"').collect();
            let of_unraid = quoted
                .iter()
                .position(|part| part.ends_with("Default="))
                .and_then(|at| Some((*quoted.get(at.checked_sub(1)?)?, *quoted.get(at + 1)?)));
            let pairs = [of_compose, of_unraid]
                .into_iter()
                .flatten()
                .map(|(name, value)| (name, value.trim_matches('"')));
            for (name, value) in pairs
                .filter(|(name, _)| name.starts_with("JELLYVAULT_") && *name != "JELLYVAULT_REPO")
            {
                let program = Program::new();
                let output = program
                    .command(&["--json", "config", "show"])
                    .env(name, value)
                    .output()
                    .unwrap();
                let document: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(output.status.code(), Some(0), "{name}={value}: {document}");
                assert!(
                    document["variables"].to_string().contains(name),
                    "{name}={value}: {document}"
                );
                values += 1;
            }
        }
        // Each that is named anywhere is one of those, or the repository's path.
        named.extend(
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| word.starts_with("JELLYVAULT_"))
                .map(str::to_owned),
        );
    }
    let known = Program::new().ok(&["config", "example"])
        + &std::fs::read_to_string(folder.join("../docs/service.md")).unwrap();
    assert!(!named.is_empty() && values >= 13, "{values} values of {named:?}");
    for name in named {
        let (section, key) =
            name.trim_start_matches("JELLYVAULT_").split_once('_').unwrap_or((&name, ""));
        let is_told = name == "JELLYVAULT_REPO"
            || (known.contains(&format!("[{}]", section.to_lowercase()))
                && known.contains(&key.to_lowercase()));
        assert!(is_told, "{name} is no setting");
    }
    assert_eq!(seen, 4);
}

#[needs(systemd)]
#[test]
fn the_units_are_what_systemd_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for unit in ["jellyvault.service", "jellyvault-run.service", "jellyvault-run.timer"] {
        let mut verify = std::process::Command::new("systemd-analyze");
        verify
            .arg("verify")
            .arg(folder.join(unit))
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
        let said = String::from_utf8(verify.output().unwrap().stderr).unwrap();
        assert!(
            said.lines()
                .all(|line| !line.contains("jellyvault") || line.contains("is not executable")),
            "{said}"
        );
    }
}

#[test]
fn much_that_is_gone_at_once_is_told_and_the_snapshot_before_is_protected() {
    let home = home("[retention]\nkeep_last = 1\n[check]\nenabled = false\n");
    home.program.ok(&["run", "--job", "snapshot"]);
    let before = home.program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    // What a library scan does while the disk with the films is away.
    let db = rusqlite::Connection::open(home.data.join("data/jellyfin.db")).unwrap();
    let sql = "PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE rowid IN (SELECT rowid FROM BaseItems ORDER BY rowid DESC LIMIT (SELECT count(*) * 2 / 3 FROM BaseItems));";
    db.execute_batch(sql).unwrap();
    db.close().unwrap();
    let_settle();
    let (done, code) = home.program.json(&["run", "--job", "snapshot"]);
    assert_eq!((code, done["standing"]["level"].as_str()), (3, Some("attention")), "{done}");
    let what = done["standing"]["reasons"][0]["what"].as_str().unwrap();
    assert!(what.contains("8 of 8 episodes") && what.contains(&before[..12]), "{what}");
    // It stays told, and no rule takes the snapshot before.
    for _ in 0..2 {
        home.program.json(&["run", "--job", "snapshot,retention"]);
    }
    let (status, code) = home.program.json(&["status"]);
    assert_eq!(code, 3, "{status}");
    assert!(home.program.json(&["list"]).0["snapshots"].to_string().contains(&before));
    home.program.ok(&["keep", "--off", &before]);
    let (status, code) = home.program.json(&["status"]);
    assert_eq!(code, 0, "{status}");
    // People and genres are many, and come and go with the films: they are not counted. Watch state
    // whose film is gone waits where nobody sees it.
    let states = "PRAGMA foreign_keys = OFF; UPDATE UserData SET ItemId = '00000000-0000-0000-0000-000000000001', CustomDataKey = rowid;";
    run_sql(&home.data.join("data/jellyfin.db"), states);
    let (done, _) = home.program.json(&["run", "--job", "snapshot"]);
    let what = done["standing"]["reasons"][0]["what"].as_str().unwrap();
    assert!(what.contains("watch states"), "{what}");
}

/// What is missing from the server is missing from each snapshot that follows.
#[test]
fn a_loss_on_purpose_is_dismissed_once() {
    let home = home("[retention]\nkeep_last = 1\n[check]\nenabled = false\n");
    let pictures = home.data.join("data/trickplay");
    let sheets = pictures.join("aa/aa6f2b00-fa9f-23da-a2f3-551f6b7fd4d9/320 - 10x10");
    std::fs::create_dir_all(&sheets).unwrap();
    (0..20).for_each(|number| write(sheets.join(format!("{number}.jpg")), noise("sheet", 900)));
    let_settle();
    home.program.ok(&["run", "--job", "snapshot"]);
    let before = home.program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    std::fs::remove_dir_all(&pictures).unwrap();
    let run = || home.program.json(&["run", "--job", "snapshot"]).0["standing"].to_string();
    assert!(run().contains("trickplay files") && run().contains("trickplay files"));
    home.program.ok(&["keep", "--off", &before]);
    for _ in 0..2 {
        let standing = run();
        assert!(!standing.contains("trickplay files"), "{standing}");
    }
}

#[test]
fn metrics_are_written_for_monitoring() {
    let home = home("");
    let file = home.program.home.path().join("metrics/jellyvault.prom");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let text = format!(
        "{}[metrics]\nfile = {:?}\n",
        std::fs::read_to_string(&home.config).unwrap(),
        file.to_str().unwrap()
    );
    write(&home.config, text);
    home.program.ok(&["run"]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\njellyvault_status 0\n")
            && text.contains("jellyvault_last_run_success{job=\"snapshot\"} 1"),
        "{text}"
    );
}

#[test]
fn a_snapshot_is_taken_only_where_the_version_changed() {
    let home = home("");
    let count = || home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len();
    let ask = ["snapshot", "--if-version-changes"];
    be_version(&home.data, "12.0.1");
    home.program.ok(&ask);
    let (skipped, code) = home.program.json(&ask);
    assert!(
        code == 0 && skipped["skipped"].as_str().unwrap().contains("still 12.0.1"),
        "{skipped}"
    );
    assert_eq!((count(), home.program.ok(&[&ask[..], &["-q"]].concat())), (1, String::new()));
    be_version(&home.data, "12.1.0");
    home.program.ok(&ask);
    assert_eq!(count(), 2);
    // What is not known may be another.
    std::fs::remove_dir_all(home.data.join("log")).unwrap();
    home.program.ok(&ask);
    assert_eq!(count(), 3);
}
