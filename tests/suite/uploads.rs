//! Zips that a browser sends: imported whole, or refused with nothing left behind.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use super::http::{Field, Service};
use super::web::{Home, PASSWORD, home, ids};

fn zip() -> Vec<u8> {
    std::fs::read(fixtures().join("zips/extremes-12.0.zip")).unwrap()
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Zips, and folders for them, that lie anywhere in the home, but for those of the server itself.
fn left(home: &Home) -> Vec<PathBuf> {
    let mut waiting = vec![home.program.home.path().to_owned()];
    let mut found = Vec::new();
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path == home.data {
                continue;
            }
            let is_scratch = entry.file_name().to_str().unwrap().starts_with("jellyvault-copy-");
            if is_scratch {
                found.push(path);
            } else if entry.file_type().unwrap().is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "zip") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn an_uploaded_backup_becomes_a_snapshot_and_is_removed() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let page = service.get(&cookie, "/import");
    assert!(page.text().contains("multipart/form-data"), "{}", page.text());
    let token = page.field("token");
    let before = ids(&home.program).len();
    let fields = [
        ("token", None, token.as_bytes()),
        ("zip", Some("../jellyfin backup \u{e4}.zip"), &zip()[..]),
    ];
    let started = service.upload(&cookie, "/import/upload", &fields);
    assert_eq!(started.status, 303, "{}", started.text());
    let job = service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("badge good") || text.contains("with problems")
    });
    assert!(job.contains("Import jellyfin backup _.zip"), "{job}");
    assert_eq!(ids(&home.program).len(), before + 1);
    assert_eq!(left(&home), Vec::<PathBuf>::new());
}

#[test]
fn what_is_no_backup_leaves_nothing_behind() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let token = service.get(&cookie, "/import").field("token");
    let (token, whole) = (token.as_bytes(), zip());
    let before = ids(&home.program).len();
    let long = [b'x'; 5000];
    let many = [&b"PK\x03\x05"[..], &[0; 900_000]].concat();
    let refused: [(&[Field], u16, &str); 8] = [
        (&[], 400, "no zip was chosen"),
        (&[("zip", Some("a.zip"), &whole)], 400, "not complete"),
        (&[("token", None, b"wrong"), ("zip", Some("a.zip"), &whole)], 400, "out of date"),
        (&[("token", None, &long), ("zip", Some("a.zip"), &whole)], 400, "too large"),
        (&[("token", None, token)], 400, "no zip was chosen"),
        (&[("token", None, token), ("zip", Some(""), b"")], 400, "no zip was chosen"),
        (&[("token", None, token), ("zip", Some("a.zip"), b"PK\x03")], 415, "not a zip"),
        (&[("token", None, token), ("zip", Some("a.zip"), &many)], 415, "not a zip"),
    ];
    for (fields, status, words) in refused {
        let answer = service.upload(&cookie, "/import/upload", fields);
        assert!(
            answer.status == status && answer.text().to_lowercase().contains(words),
            "{}",
            answer.text()
        );
    }
    // Without a session, or as a form of another kind.
    assert_eq!(service.upload("", "/import/upload", refused[4].0).status, 401);
    assert_eq!(service.post(&cookie, "/import/upload", &[("zip", "a")]).status, 400);
    // A zip of something else is told by the command, and removed as well.
    let odd = [("token", None, token), ("zip", Some("odd.zip"), &b"PK\x03\x04 of something"[..])];
    let started = service.upload(&cookie, "/import/upload", &odd);
    let job = service
        .wait_for(&cookie, started.header("location").unwrap(), |text| text.contains("badge bad"));
    // The page's command names the zip as its owner has it, not where it lay.
    assert!(job.contains("<code>jellyvault import odd.zip</code>"), "{job}");
    assert_eq!((ids(&home.program).len(), left(&home)), (before, Vec::new()));
}

#[test]
fn an_upload_that_is_cut_off_or_stands_still_keeps_nobody_waiting() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let token = service.get(&cookie, "/import").field("token");
    let head = format!(
        "POST /import/upload HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: 9000000\r\n\r\n--edge\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n--edge\r\nContent-Disposition: form-data; name=\"zip\"; filename=\"half.zip\"\r\n\r\nPK\x03\x04",
        service.address
    );
    let mut slow = TcpStream::connect(service.address).unwrap();
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&[0; 300_000]).unwrap();
    // While it stands still, other pages are shown, and another upload is refused.
    for _ in 0..600 {
        if !left(&home).is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(left(&home).len(), 1);
    assert_eq!(service.get(&cookie, "/import").status, 200);
    let fields = [("token", None, token.as_bytes()), ("zip", Some("a.zip"), &zip()[..])];
    let second = service.upload(&cookie, "/import/upload", &fields);
    assert!(second.text().contains("Another zip is being uploaded"), "{}", second.text());
    drop(slow);
    let mut begun = 0;
    let started = loop {
        let started = service.upload(&cookie, "/import/upload", &fields);
        if started.status == 303 || begun > 100 {
            break started;
        }
        begun += 1;
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(started.status, 303, "{}", started.text());
    service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("badge good") || text.contains("with problems")
    });
    assert_eq!(left(&home), Vec::<PathBuf>::new());
}
