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

#[test]
fn a_copy_is_brought_up_to_date_and_none_is_made_on_the_disk_below() {
    let home = home("");
    let (job, code) = home.copy();
    assert!(code == 1 && job["what"].as_str().unwrap().contains("jellyvault sync --to"), "{job}");
    assert!(!home.disk.join("copy").exists());
    home.sync();
    home.another_snapshot(1);
    let (job, code) = home.copy();
    assert!(code == 0 && job["what"].as_str().unwrap().contains("1 snapshot copied"), "{job}");
    assert_eq!(home.in_copy(), 2);
    let (status, _) = home.program.json(&["status"]);
    let sentence = status["status"]["sentence"].as_str().unwrap_or_else(|| panic!("{status}"));
    assert!(sentence.contains("The copy was brought up to date"), "{sentence}");
    // The disk is away: no alarm before a day is over, and nothing on the disk below it.
    std::fs::rename(home.disk.join("copy"), home.program.home.path().join("away")).unwrap();
    let (job, code) = home.copy();
    assert!(job["what"].as_str().unwrap().contains("not mounted") && code != 0, "{job}");
    assert!(!home.disk.join("copy").exists());
    let (status, _) = home.program.json(&["status"]);
    assert_eq!(status["status"]["level"], "good", "{status}");
    // It is due by its schedule as every job is.
    std::fs::rename(home.program.home.path().join("away"), home.disk.join("copy")).unwrap();
    let (due, _) = home.program.json(&["run", "--dry-run"]);
    assert!(!due["due"].to_string().contains("copy"), "{due}");
}

#[test]
fn a_disk_that_is_away_for_long_is_told() {
    let home = home("absent_after = \"1s\"\n");
    home.sync();
    home.copy();
    std::fs::remove_dir_all(home.disk.join("copy")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.copy();
    let (status, _) = home.program.json(&["status"]);
    assert_eq!(status["status"]["level"], "attention", "{status}");
    assert!(status["status"]["reasons"].to_string().contains("is not there"), "{status}");
}

#[test]
fn a_copy_has_rules_of_its_own() {
    let home = home("keep_last = 2\n");
    home.sync();
    (0..4).for_each(|n| home.another_snapshot(n));
    let (job, code) = home.copy();
    assert_eq!(code, 0, "{job}");
    assert_eq!(home.in_copy(), 2, "{job}");
    assert_eq!(home.program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 5);
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
        code == 1 && words.contains("1 snapshot copied") && words.contains("there is no copy"),
        "{job}"
    );
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
