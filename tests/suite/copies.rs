//! Copies of the repository that the service brings up to date.

use std::path::PathBuf;

use super::support::*;

struct Home {
    program: Program,
    data: PathBuf,
    disk: PathBuf,
}

/// A server with a snapshot, and a configuration with a copy on a disk of its own.
fn home(more: &str) -> Home {
    let program = Program::new();
    let (data, disk) = (program.home.path().join("jellyfin"), program.home.path().join("usb"));
    copy_tree(&own_fixture(), &data);
    let_settle();
    std::fs::create_dir(&disk).unwrap();
    write(
        program.home.path().join(".config/jellyvault/config.toml"),
        format!(
            "[server]\ndata_dir = {:?}\n[copy]\nto = {:?}\nevery = \"62d\"\n{more}",
            data.to_str().unwrap(),
            disk.join("copy").to_str().unwrap()
        ),
    );
    program.ok(&["snapshot"]);
    Home { program, data, disk }
}

impl Home {
    fn copy(&self) -> (serde_json::Value, i32) {
        let (document, code) = self.program.json(&["run", "--job", "copy"]);
        (document["jobs"][0].clone(), code)
    }

    fn in_copy(&self) -> usize {
        let copy = Program { repo: self.disk.join("copy"), ..Program::new() };
        copy.json(&["list"]).0["snapshots"].as_array().unwrap().len()
    }

    fn sync(&self) {
        self.program.ok(&["sync", "--to", self.disk.join("copy").to_str().unwrap()]);
    }

    fn another_snapshot(&self, n: usize) {
        write(self.data.join("config/note.txt"), n.to_string());
        let_settle();
        self.program.ok(&["snapshot"]);
    }
}

const RECEIVER: &str =
    "[notify]\ncommand = [\"sh\", \"-c\", \"echo \\\"$1\\\" >> $HOME/alarms\", \"alarm\"]\n";

#[test]
fn a_copy_is_brought_up_to_date_and_none_is_made_on_the_disk_below() {
    let home = home(RECEIVER);
    let alarms =
        || std::fs::read_to_string(home.program.home.path().join("alarms")).unwrap_or_default();
    let due = || home.program.json(&["run", "--dry-run"]).0["due"].to_string().contains("copy");
    let (job, code) = home.copy();
    assert!(code == 3 && job["what"].as_str().unwrap().contains("not there"), "{job}");
    assert!(!home.disk.join("copy").exists() && alarms().contains("a problem"));
    let (status, _) = home.program.json(&["status"]);
    assert!(status["status"]["reasons"].to_string().contains("jellyvault sync --to"), "{status}");
    home.sync();
    assert!(!due(), "a copy that was made by hand is done");
    home.another_snapshot(1);
    let (job, code) = home.copy();
    assert!(code == 0 && job["what"].as_str().unwrap().contains("1 snapshot copied"), "{job}");
    let told = alarms();
    assert!(told.contains("all is well again"), "{told}");
    assert_eq!(home.in_copy(), 2);
    let (status, _) = home.program.json(&["status"]);
    let sentence = status["status"]["sentence"].as_str().unwrap_or_else(|| panic!("{status}"));
    assert!(sentence.contains("The copy was brought up to date"), "{sentence}");
    // The disk is away: no alarm before its time is over, and nothing on the disk below it.
    let away = home.program.home.path().join("away");
    std::fs::rename(home.disk.join("copy"), &away).unwrap();
    let (job, code) = home.copy();
    assert!(code == 0 && job["what"].as_str().unwrap().contains("not there"), "{job}");
    assert!(!home.disk.join("copy").exists() && alarms() == told);
    assert_eq!(home.program.json(&["status"]).0["status"]["level"], "good");
    // With the disk back it is as it was.
    std::fs::rename(&away, home.disk.join("copy")).unwrap();
    assert!(!due());
    // The list of the source is lost: that is no empty repository.
    for name in ["snapshots", "list", "newest"] {
        let path = home.program.repo.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (job, code) = home.copy();
    assert!(code == 1 && job["what"].as_str().unwrap().contains("list"), "{job}");
    for args in [
        &["sync", "--to", home.disk.join("copy").to_str().unwrap()][..],
        &["copy", "--to", home.disk.join("else").to_str().unwrap()],
    ] {
        let (refused, code) = home.program.json(args);
        assert!(code == 1 && refused.to_string().contains("list"), "{args:?}: {refused}");
    }
    assert_eq!(home.in_copy(), 2);
}

#[test]
fn a_disk_that_is_away_for_long_is_told_and_its_copy_is_due_when_it_is_back() {
    let home = home("");
    let config = home.program.home.path().join(".config/jellyvault/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    write(&config, text.replace("every = \"62d\"", "at = \"04:00\""));
    home.sync();
    home.copy();
    assert_eq!(home.program.json(&["status"]).0["status"]["level"], "good");
    // As it is ten days later.
    let log = home.program.repo.join("jobs.json");
    let mut known: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    let place = home.disk.join("copy").display().to_string();
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(240);
    known["copies"][&place] = then.to_string().into();
    write(&log, known.to_string());
    let away = home.program.home.path().join("away");
    std::fs::rename(home.disk.join("copy"), &away).unwrap();
    let (status, _) = home.program.json(&["status"]);
    assert_eq!(status["status"]["level"], "attention", "{status}");
    let reasons = status["status"]["reasons"].to_string();
    assert!(reasons.contains("was last brought up to date 10 days ago"), "{reasons}");
    std::fs::rename(&away, home.disk.join("copy")).unwrap();
    let (due, _) = home.program.json(&["run", "--dry-run"]);
    assert!(due["due"].to_string().contains("copy"), "{due}");
}

#[test]
fn a_copy_has_rules_of_its_own() {
    let home = home("keep_last = 2\n");
    home.sync();
    (0..4).for_each(|n| home.another_snapshot(n));
    // What is protected in the repository is protected in the copy.
    let first = home.program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    home.program.ok(&["keep", &first]);
    let (job, code) = home.copy();
    assert_eq!(code, 0, "{job}");
    assert_eq!(home.in_copy(), 3, "{job}");
    assert_eq!(home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 5);
    home.program.ok(&["keep", "--off", &first]);
    let (job, code) = home.copy();
    assert_eq!(code, 0, "{job}");
    assert_eq!(home.in_copy(), 2, "{job}");
    // What was forgotten there does not come back.
    let (job, _) = home.copy();
    assert_eq!(home.in_copy(), 2, "{job}");
    let copy = Program { repo: home.disk.join("copy"), ..Program::new() };
    copy.ok(&["check", "--read-data"]);
}

#[test]
fn one_copy_that_fails_does_not_keep_the_others_behind() {
    let home = home("");
    let (one, other) = (home.disk.join("copy"), home.disk.join("other"));
    let config = home.program.home.path().join(".config/jellyvault/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let both = format!("to = [{:?}, {:?}]", one.display().to_string(), other.display().to_string());
    write(&config, text.replace(&format!("to = {:?}", one.display().to_string()), &both));
    home.program.ok(&["sync", "--to", other.to_str().unwrap()]);
    home.another_snapshot(1);
    let (job, code) = home.copy();
    let words = job["what"].as_str().unwrap();
    assert!(
        code == 3 && words.contains("1 snapshot copied") && words.contains("not there"),
        "{job}"
    );
    // Disks that take turns.
    home.sync();
    std::fs::rename(&other, home.program.home.path().join("away")).unwrap();
    let (job, code) = home.copy();
    assert_eq!(code, 0, "{job}");
    assert_eq!(home.program.json(&["status"]).0["status"]["level"], "good");
    std::fs::remove_dir_all(&one).unwrap();
    // A repository of somebody else's is not written to.
    let foreign = Program { repo: one.clone(), ..Program::new() };
    foreign.ok(&["init"]);
    let (job, _) = home.copy();
    assert!(job["what"].as_str().unwrap().contains("another repository"), "{job}");
    for wrong in ["to = \"usb/copy\"", "keep_within = \"soon\"", "at = \"25:00\""] {
        write(&config, format!("[copy]\n{wrong}\n"));
        let (refused, code) = home.program.json(&["config", "check"]);
        assert!(code != 0 && refused.to_string().contains("copy"), "{wrong}: {refused}");
    }
}
