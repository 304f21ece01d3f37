//! The page in the browser, by what it answers: who comes in, what is shown, what is done, and what
//! strangers cannot do.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::http::Service;
use super::support::*;

pub const PASSWORD: &str = "correct horse";
pub const FOLDER: &str = "metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927";

/// A server with two snapshots between which Ana watched a film and a poster changed.
pub struct Home {
    pub program: Program,
    pub data: PathBuf,
    config: PathBuf,
}

pub fn home(web: &str) -> Home {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let config = program.home.path().join(".config/jellyvault/config.toml");
    // Nothing is due while the test looks.
    let rest = "[snapshot]\nenabled = false\n[retention]\nenabled = false\n[check]\nenabled = false\n[drill]\nenabled = false\n";
    write(
        &config,
        format!(
            "[server]\ndata_dir = {:?}\n{rest}[web]\nlisten = \"127.0.0.1:0\"\n{web}",
            data.to_str().unwrap()
        ),
    );
    let_settle();
    program.ok(&["snapshot"]);
    write(
        data.join(FOLDER).join("poster.jpg"),
        [b"\xff\xd8\xff\xe0".as_slice(), &[7; 500]].concat(),
    );
    run_sql(
        &data.join("data/jellyfin.db"),
        "UPDATE UserData SET Played = 1, PlayCount = 3 WHERE rowid IN (SELECT rowid FROM UserData LIMIT 3)",
    );
    let_settle();
    program.ok(&["snapshot"]);
    set_password(&program, PASSWORD);
    Home { program, data, config }
}

fn set_password(program: &Program, password: &str) -> i32 {
    let mut child = program
        .command(&["-q", "web", "password"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    child.wait_with_output().unwrap().status.code().unwrap()
}

pub fn ids(program: &Program) -> Vec<String> {
    let list = program.json(&["list"]).0;
    list["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Every page that somebody who is signed in can open.
const PAGES: [&str; 22] = [
    "/",
    "/snapshots",
    "/snapshots?q=ana&changes=1",
    "/snapshots/latest",
    "/snapshots/latest/browse",
    "/snapshots/latest/browse/metadata",
    "/snapshots/latest/browse/config/system.xml",
    "/compare/latest~1/latest",
    "/library",
    "/library?q=crimson",
    "/library/11faabb81f9dcd6ad0913dc529c1f927",
    "/restore",
    "/restore?snapshot=latest&path=metadata",
    "/export?snapshot=latest",
    "/import",
    "/jobs",
    "/health",
    "/settings",
    "/settings/retention",
    "/api/v1/status",
    "/api/v1/snapshots/latest/happened",
    "/metrics",
];

#[test]
fn all_pages_are_behind_the_password_and_say_what_browsers_must_not_do() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    service.wait_for(&cookie, "/", |text| text.contains("rotected"));
    let others = [
        "/events",
        "/snapshots/latest/file/config/system.xml",
        "/snapshots/latest/zip/config",
        "/snapshots/latest/export/tables",
        "/nowhere",
    ];
    for page in PAGES.iter().chain(&others) {
        for headers in
            [vec![], vec![("Cookie", "jellyvault=AAAA")], vec![("Authorization", "Bearer x")]]
        {
            let refused = service.ask("GET", page, &headers, &[]);
            assert!([303, 401].contains(&refused.status), "{page}: {}", refused.status);
            assert!(
                !refused.text().contains("Crimson") && !refused.text().contains("jellyfin"),
                "{page}"
            );
        }
    }
    for page in [
        "/jobs",
        "/logout",
        "/restore/plan",
        "/restore/run",
        "/settings/password",
        "/snapshots/latest/forget",
        "/snapshots/latest/keep",
        "/api/v1/jobs",
    ] {
        assert_eq!(service.ask("POST", page, &[], &[("job", "snapshot")]).status, 401, "{page}");
    }
    for page in PAGES {
        let answer = service.get(&cookie, page);
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'self'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{page}"
        );
        assert_eq!(
            (answer.header("x-content-type-options"), answer.header("cache-control")),
            (Some("nosniff"), Some("no-store")),
            "{page}"
        );
        let text = answer.text();
        assert!(
            !text.contains(" style=")
                && !text.contains("<style")
                && !text.contains(" onclick")
                && !text.contains("http://evil"),
            "{page}"
        );
        if !page.starts_with("/api") && page != "/metrics" {
            assert_eq!(text.matches("<h1").count(), 1, "{page}");
        }
    }
    for open in ["/login", "/healthz"] {
        let answer = service.ask("GET", open, &[], &[]);
        assert!(answer.status == 200 && !answer.text().contains("Crimson"), "{open}");
    }
    assert_eq!(service.get(&cookie, "/nowhere").status, 404);
    assert_eq!(service.get(&cookie, "/snapshots/no-such").status, 404);
    // The cookie is for this page alone, and no script reads it.
    let answer = service.ask("POST", "/login", &[], &[("password", PASSWORD)]);
    let set = answer.header("set-cookie").unwrap();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && !set.contains("Secure"),
        "{set}"
    );
    assert_eq!(service.post(&cookie, "/logout", &[]).status, 303);
    assert_eq!(service.get(&cookie, "/").status, 303, "signed out");
}

#[test]
fn what_happened_is_told_in_words_and_with_pictures() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let overview =
        service.wait_for(&cookie, "/", |text| text.contains("poster of Crimson Signal 4"));
    assert!(overview.contains("newly watched"), "{overview}");
    let found = service.get(&cookie, "/snapshots?q=newly%20watched").text();
    assert!(found.contains("1 of 2 snapshots"), "{found}");
    let compare = service.get(&cookie, "/compare/latest~1/latest").text();
    assert!(
        compare.contains("poster of Crimson Signal 4, before")
            && compare.contains("poster of Crimson Signal 4, after"),
        "{compare}"
    );
    let ids = ids(&home.program);
    for (id, bytes) in [
        (&ids[0], std::fs::read(own_fixture().join(FOLDER).join("poster.jpg"))),
        (&ids[1], std::fs::read(home.data.join(FOLDER).join("poster.jpg"))),
    ] {
        let picture = service.get(&cookie, &format!("/snapshots/{id}/picture/{FOLDER}/poster.jpg"));
        assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/jpeg")));
        assert_eq!(picture.body, bytes.unwrap());
        assert!(
            picture.header("content-security-policy").unwrap().contains("sandbox")
                && picture.header("cache-control").unwrap().contains("immutable")
        );
    }
    let item = service.get(&cookie, "/library/11faabb81f9dcd6ad0913dc529c1f927").text();
    assert_eq!(item.matches("Bring this one back").count(), 2, "{item}");
    assert!(item.contains("picture changed"), "{item}");
    let told: Value =
        serde_json::from_slice(&service.get(&cookie, "/api/v1/snapshots/latest/happened").body)
            .unwrap();
    assert_eq!(told["happened"]["news"][0]["names"][0], "poster of Crimson Signal 4", "{told}");
}

#[test]
fn a_poster_comes_back_by_the_command_that_is_shown() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let path = format!("{FOLDER}/poster.jpg");
    let ids = ids(&home.program);
    let form = [("snapshot", ids[0].as_str()), ("what", "paths"), ("path", path.as_str())];
    let before = std::fs::read(home.data.join(&path)).unwrap();
    let plan = service.post(&cookie, "/restore/plan", &form);
    assert!(
        plan.status == 200
            && plan.text().contains(&format!("--in-place --path={path}"))
            && plan.text().contains("Restore now"),
        "{}",
        plan.text()
    );
    assert_eq!(std::fs::read(home.data.join(&path)).unwrap(), before, "a plan changes nothing");
    let started = service.post(&cookie, "/restore/run", &form);
    assert_eq!(started.status, 303, "{}", started.text());
    let at = started.header("location").unwrap().to_owned();
    let done = service.wait_for(&cookie, &at, |text| !text.contains("It is running"));
    assert!(done.contains("badge good"), "{done}");
    assert_eq!(
        std::fs::read(home.data.join(&path)).unwrap(),
        std::fs::read(own_fixture().join(&path)).unwrap()
    );
    // At the next start of Jellyfin, which a page can cancel.
    write(home.data.join(&path), "another");
    let armed: Vec<(&str, &str)> = form.iter().copied().chain([("arm", "1")]).collect();
    let started = service.post(&cookie, "/restore/run", &armed);
    service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("at the next start of Jellyfin") && text.contains("badge good")
    });
    assert!(service.get(&cookie, "/").text().contains("A restore is armed"));
    assert_eq!(service.post(&cookie, "/restore/disarm", &[]).status, 303);
    service.wait_for(&cookie, "/", |text| !text.contains("A restore is armed"));
    let started = service.post(&cookie, "/restore/run", &armed);
    service
        .wait_for(&cookie, started.header("location").unwrap(), |text| text.contains("badge good"));
    home.program.ok(&["armed", "--run"]);
    assert_eq!(
        std::fs::read(home.data.join(&path)).unwrap(),
        std::fs::read(own_fixture().join(&path)).unwrap()
    );
    assert!(service.get(&cookie, "/jobs").text().contains("The last armed restore"));
    // A path never becomes an option, and what makes no sense is refused.
    for (what, path) in [("paths", ""), ("categories", ""), ("everything and more", "x")] {
        assert_eq!(
            service
                .post(
                    &cookie,
                    "/restore/plan",
                    &[("snapshot", "latest"), ("what", what), ("path", path)]
                )
                .status,
            400,
            "{what}"
        );
    }
    let odd = service.post(
        &cookie,
        "/restore/plan",
        &[("snapshot", "latest"), ("what", "paths"), ("path", "--delete")],
    );
    assert!(
        odd.text().contains("--path=--delete") && odd.text().contains("This cannot be done"),
        "{}",
        odd.text()
    );
    assert_eq!(
        service
            .post(
                &cookie,
                "/restore/plan",
                &[
                    ("snapshot", "latest"),
                    ("what", "categories"),
                    ("category", "metadata,--delete")
                ]
            )
            .status,
        400
    );
}

#[test]
fn jobs_are_done_when_asked_and_told_to_who_listens() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let count = ids(&home.program).len();
    let mut listening = TcpStream::connect(service.address).unwrap();
    write!(
        listening,
        "GET /events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
        service.address
    )
    .unwrap();
    assert_eq!(service.post(&cookie, "/jobs", &[("job", "snapshot")]).status, 303);
    service.wait_for(&cookie, "/jobs", |text| text.contains("snapshot 0"));
    assert_eq!(ids(&home.program).len(), count + 1);
    let mut heard = [0; 4096];
    let mut text = String::new();
    while !text.contains("event: change") {
        let read = std::io::Read::read(&mut listening, &mut heard).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&heard[..read]));
    }
    assert_eq!(service.post(&cookie, "/jobs", &[("job", "backup")]).status, 400);
    // By a program, with a token.
    let token = home.program.ok(&["web", "token", "grafana"]);
    let bearer = format!("Bearer {}", token.trim());
    let asked =
        service.ask("POST", "/api/v1/jobs", &[("Authorization", &bearer)], &[("job", "check")]);
    assert_eq!(asked.status, 202, "{}", asked.text());
    service.wait_for(&cookie, "/health", |text| text.contains("no damage"));
    let status: Value = serde_json::from_slice(
        &service.ask("GET", "/api/v1/status", &[("Authorization", &bearer)], &[]).body,
    )
    .unwrap();
    assert_eq!(status["snapshots"], count + 1, "{status}");
    assert!(
        service
            .ask("GET", "/metrics", &[("Authorization", &bearer)], &[])
            .text()
            .contains("jellyvault_last_snapshot_timestamp_seconds")
    );
    assert!(service.get(&cookie, "/settings").text().contains("grafana"));
    let documents: Value =
        serde_json::from_slice(&service.get(&cookie, "/api/v1/openapi.json").body).unwrap();
    for path in documents["paths"].as_object().unwrap().keys().filter(|path| *path != "/jobs") {
        let path = format!("/api/v1{}", path.replace("{snapshot}", "latest"));
        let answer = service.ask("GET", &path, &[("Authorization", &bearer)], &[]);
        assert!(
            answer.status == 200 && serde_json::from_slice::<Value>(&answer.body).is_ok(),
            "{path}"
        );
    }
}

#[test]
fn wrong_passwords_wait_and_the_right_one_opens_again() {
    let home = home("");
    let service = Service::start(&home.program);
    let wrong = || service.ask("POST", "/login", &[], &[("password", "wrong")]);
    let answers: Vec<u16> = (0..10).map(|_| wrong().status).collect();
    assert_eq!(answers[..3], [403; 3]);
    assert!(answers[3..].iter().all(|status| *status == 429), "{answers:?}");
    let seconds: u64 = wrong().header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(
        service.ask("POST", "/login", &[], &[("password", PASSWORD)]).status,
        429,
        "so does the right one, for a moment"
    );
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    let cookie = service.sign_in(PASSWORD);
    assert_eq!(service.get(&cookie, "/").status, 200);
    let file = std::fs::read_dir(home.program.home.path().join(".local/state/jellyvault"))
        .unwrap()
        .flatten();
    let kept: String =
        file.map(|entry| std::fs::read_to_string(entry.path()).unwrap_or_default()).collect();
    assert!(
        kept.contains("$argon2id$")
            && !kept.contains(PASSWORD)
            && !kept.contains(cookie.strip_prefix("jellyvault=").unwrap())
    );
    // Another password ends all sessions, also one that is set in a terminal.
    assert_eq!(set_password(&home.program, "short"), 1);
    assert_eq!(set_password(&home.program, "another password"), 0);
    assert_eq!(service.get(&cookie, "/").status, 303);
    let cookie = service.sign_in("another password");
    let changed = |present: &str, new: &str| {
        service.post(&cookie, "/settings/password", &[("password", present), ("new", new)]).status
    };
    assert_eq!(
        (
            changed("wrong", "a third password"),
            changed("another password", "short"),
            changed("another password", "a third password")
        ),
        (400, 400, 303)
    );
    assert_eq!(service.get(&cookie, "/").status, 303);
    service.sign_in("a third password");
}

#[test]
fn strangers_names_and_pages_are_refused() {
    let home = home("allowed_hosts = [\"backup.example.org\"]\n");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let with_host =
        |host: &str| service.ask("GET", "/snapshots", &[("Cookie", &cookie), ("Host", host)], &[]);
    let refused = with_host("evil.example");
    assert!(
        refused.status == 421 && refused.text().contains("allowed_hosts"),
        "{}",
        refused.text()
    );
    for host in ["localhost:8788", "127.0.0.1", "[::1]:1", "backup.example.org"] {
        assert_eq!(with_host(host).status, 200, "{host}");
    }
    let token = service.get(&cookie, "/settings").field("token");
    let order = |headers: &[(&str, &str)], form: &[(&str, &str)]| {
        let headers: Vec<(&str, &str)> =
            headers.iter().copied().chain([("Cookie", cookie.as_str())]).collect();
        service.ask("POST", "/jobs", &headers, form).status
    };
    let form = [("job", "snapshot"), ("token", token.as_str())];
    assert_eq!(order(&[("Origin", "http://evil.example")], &form), 403);
    assert_eq!(order(&[("Sec-Fetch-Site", "cross-site")], &form), 403);
    assert_eq!(order(&[("Origin", "null")], &form), 403);
    assert_eq!(order(&[], &[("job", "snapshot")]), 400, "without the token of the form");
    assert_eq!(order(&[], &[("job", "snapshot"), ("token", "0")]), 400);
    assert_eq!(ids(&home.program).len(), 2, "nothing was done");
    assert_eq!(order(&[("Origin", &format!("http://{}", service.address))], &form), 303);
    // Nobody is led elsewhere after signing in.
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        let answer = service.ask("POST", "/login", &[], &[("password", PASSWORD), ("next", next)]);
        assert_eq!(answer.header("location"), Some("/"), "{next}");
    }
    // A proxy is believed only where it is trusted.
    let forged = service.ask(
        "GET",
        "/login",
        &[("X-Forwarded-Prefix", "/evil"), ("X-Forwarded-Host", "evil.example")],
        &[],
    );
    assert!(forged.status == 200 && !forged.text().contains("/evil"));
}

#[test]
fn behind_a_proxy_the_page_stands_under_its_path() {
    let home = home(
        "base_path = \"/backup\"\ntrusted_proxies = [\"127.0.0.1\"]\nallowed_hosts = [\"nas.example.org\"]\n",
    );
    let service = Service::start(&home.program);
    let proxy = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "nas.example.org"),
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.7"),
    ];
    let answer = service.ask(
        "POST",
        "/backup/login",
        &proxy,
        &[("password", PASSWORD), ("next", "/snapshots")],
    );
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/backup/snapshots")),
        "{}",
        answer.text()
    );
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("Secure") && set.contains("Path=/backup;"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let page = service.get(cookie, "/backup/snapshots");
    assert_eq!(page.status, 200);
    let links: Vec<String> = page
        .text()
        .split("href=\"")
        .skip(1)
        .chain(page.text().split("action=\"").skip(1))
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert!(
        links.len() > 10
            && links.iter().all(|link| link.starts_with("/backup/") || link.starts_with('#')),
        "{links:?}"
    );
    let style = links.iter().find(|link| link.ends_with(".css")).unwrap();
    assert_eq!(
        service.ask("GET", style, &[], &[]).header("content-type"),
        Some("text/css; charset=utf-8")
    );
    for top in ["/backup", "/backup/"] {
        assert!(service.get(cookie, top).text().contains("Overview"), "{top}");
    }
    // What a proxy passes on of a client's headers opens nothing.
    for (prefix, path) in [
        (
            "/backup/snapshots/latest/file",
            "/backup/snapshots/latest/file/assets/file/data/jellyfin.db",
        ),
        ("/backup/snapshots/latest", "/backup/snapshots/latest/setup/browse/config"),
        ("/snapshots", "/snapshots/login"),
        ("/backup/api/v1", "/backup/api/v1/healthz"),
    ] {
        let answer = service.ask("GET", path, &[("X-Forwarded-Prefix", prefix)], &[]);
        assert!([303, 401].contains(&answer.status), "{path} {}", answer.status);
        let answer =
            service.ask("GET", "/backup/snapshots", &[("X-Forwarded-Prefix", prefix)], &[]);
        assert_eq!(answer.status, 303, "{prefix}");
    }
    // Wrong passwords slow down the address that the proxy saw, not the proxy.
    let wrong = |from: &str| {
        service
            .ask("POST", "/backup/login", &[("X-Forwarded-For", from)], &[("password", "wrong")])
            .status
    };
    assert_eq!((0..4).map(|_| wrong("203.0.113.9")).collect::<Vec<_>>(), [403, 403, 403, 429]);
    assert_eq!(wrong("203.0.113.10"), 403);
    // A line of the client's before that of the proxy changes nothing.
    let forged = |number: u32| {
        let own = format!("198.51.100.{number}");
        service
            .ask(
                "POST",
                "/backup/login",
                &[("X-Forwarded-For", &own), ("X-Forwarded-For", "203.0.113.20")],
                &[("password", "wrong")],
            )
            .status
    };
    assert_eq!((0..4).map(forged).collect::<Vec<_>>(), [403, 403, 403, 429]);
}

#[test]
fn what_comes_out_of_snapshots_runs_nowhere() {
    let home = home("");
    let title = "<script>alert(1)</script> & \"quotes\"";
    run_sql(
        &home.data.join("data/jellyfin.db"),
        &format!("UPDATE BaseItems SET Name = '{title}' WHERE Name = 'Crimson Signal 4'"),
    );
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let odd = "poster<b>&\".svg";
    write(home.data.join(FOLDER).join(odd), svg);
    write(home.data.join("plugins/page.html"), "<script>alert(1)</script>");
    let_settle();
    home.program.ok(&["snapshot"]);
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    service.wait_for(&cookie, "/snapshots", |text| text.contains("alert(1)"));
    let folder = format!("/snapshots/latest/browse/{FOLDER}");
    for page in [
        "/",
        "/snapshots",
        "/snapshots/latest",
        "/compare/latest~1/latest",
        "/library?q=alert",
        "/library/11faabb81f9dcd6ad0913dc529c1f927",
        &folder,
    ] {
        let text = service.get(&cookie, page).text();
        assert!(!text.contains("<script>alert") && !text.contains("poster<b>"), "{page}");
    }
    assert!(service.get(&cookie, "/library?q=alert").text().contains("&lt;script&gt;alert(1)"));
    assert!(
        service
            .get(&cookie, "/snapshots/latest/browse/plugins/page.html")
            .text()
            .contains("&lt;script&gt;")
    );
    assert_eq!(
        service
            .get(&cookie, &format!("/snapshots/latest/picture/{FOLDER}/poster%3Cb%3E%26%22.svg"))
            .status,
        415
    );
    let file = service.get(&cookie, "/snapshots/latest/file/plugins/page.html");
    assert_eq!((file.status, file.header("content-type")), (200, Some("application/octet-stream")));
    assert!(file.header("content-disposition").unwrap().starts_with("attachment"));
    let named =
        service.get(&cookie, &format!("/snapshots/latest/file/{FOLDER}/poster%3Cb%3E%26%22.svg"));
    assert!(named.status == 200 && named.body == svg.as_bytes());
    let disposition = named.header("content-disposition").unwrap();
    assert!(
        disposition.contains("filename=\"poster_b___.svg\"")
            && disposition.contains("filename*=UTF-8''poster%3Cb%3E%26%22.svg"),
        "{disposition}"
    );
    // Names of any bytes, and what is no file.
    use std::os::unix::ffi::OsStrExt;
    write(home.data.join("plugins").join(std::ffi::OsStr::from_bytes(b"bad\xff\n.txt")), "odd");
    let_settle();
    home.program.ok(&["snapshot"]);
    assert_eq!(service.get(&cookie, "/snapshots/latest/file/plugins/bad%FF%0A.txt").body, b"odd");
    assert!(
        service.get(&cookie, "/snapshots/latest/browse/plugins").text().contains("bad%FF%0A.txt")
    );
    assert_eq!(service.get(&cookie, "/snapshots/latest/browse/plugins/bad%FF%0A.txt").status, 200);
    assert_eq!(service.get(&cookie, "/snapshots?skip=18446744073709551615").status, 200);
    let odd = service.post(
        &cookie,
        "/restore/plan",
        &[("snapshot", "latest"), ("what", "paths"), ("path", "a\0b")],
    );
    assert_eq!(odd.status, 400);
    // Secrets of the server are not on the page that shows its settings.
    let settings = service.get(&cookie, "/snapshots/latest/browse/config/network.xml");
    assert_eq!(settings.status, 200);
    for path in ["../../etc/passwd", "..%2f..%2fetc/passwd", "%2e%2e/x", "data//x", "%00"] {
        assert!(
            [400, 404]
                .contains(&service.get(&cookie, &format!("/snapshots/latest/file/{path}")).status),
            "{path}"
        );
    }
}

#[test]
fn folders_and_backups_are_downloaded_whole() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let zip = home.program.home.path().join("folder.zip");
    let answer = service.get(&cookie, "/snapshots/latest/zip/metadata");
    assert_eq!(answer.status, 200);
    std::fs::write(&zip, &answer.body).unwrap();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).unwrap()).unwrap();
    let expected: Vec<PathBuf> = files_below(&home.data.join("metadata"));
    assert_eq!(archive.len(), expected.len());
    for path in expected {
        let name =
            path.strip_prefix(home.data.join("metadata")).unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.by_name(&name).unwrap(), &mut bytes).unwrap();
        assert_eq!(bytes, std::fs::read(&path).unwrap(), "{name}");
    }
    let backup = service.get(&cookie, "/snapshots/latest/export/tables");
    let own = home.program.home.path().join("own.zip");
    home.program.ok(&["export", "latest", "--tables", own.to_str().unwrap()]);
    assert!(backup.body == std::fs::read(&own).unwrap(), "the same bytes as the command writes");
    assert_eq!(service.get(&cookie, "/snapshots/latest/zip/no/such").status, 404);
    assert_eq!(service.get(&cookie, "/snapshots/latest/export/other").status, 404);
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[test]
fn what_removes_something_asks_for_the_password_again() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    drop(service);
    // The session goes on; that the password was given is forgotten.
    let service = Service::start(&home.program);
    let ids = ids(&home.program);
    let forget = format!("/snapshots/{}/forget", ids[0]);
    let page = service.get(&cookie, &format!("/snapshots/{}", ids[0]));
    assert!(page.status == 200 && page.text().contains("Your password"), "{}", page.text());
    for password in ["", "wrong"] {
        assert_eq!(service.post(&cookie, &forget, &[("password", password)]).status, 403);
    }
    assert_eq!(
        service.post(&cookie, "/restore/run", &[("snapshot", "latest"), ("what", "all")]).status,
        403
    );
    let token = home.program.ok(&["web", "token", "x"]);
    let bearer = format!("Bearer {}", token.trim());
    let session = service
        .get(&cookie, "/settings")
        .text()
        .split("/settings/sessions/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let ends = format!("/settings/sessions/{session}");
    for path in [
        forget.as_str(),
        "/restore/run",
        "/restore/plan",
        "/jobs",
        "/jobs/1/cancel",
        &ends,
        "/snapshots/latest/keep",
        "/logout",
    ] {
        let refused = service.ask(
            "POST",
            path,
            &[("Authorization", &bearer)],
            &[("job", "snapshot"), ("snapshot", "latest"), ("what", "all")],
        );
        assert_eq!(refused.status, 403, "a program may not: {path}");
    }
    for job in ["retention", "copy", "report"] {
        let asked =
            service.ask("POST", "/api/v1/jobs", &[("Authorization", &bearer)], &[("job", job)]);
        assert_eq!(asked.status, 403, "a program may not: {job}");
    }
    for (path, field) in [
        ("/jobs", ("job", "retention")),
        ("/jobs", ("job", "copy")),
        ("/api/v1/jobs", ("job", "retention")),
        ("/api/v1/jobs", ("job", "copy")),
        ("/snapshots/latest/keep", ("off", "1")),
        ("/settings/tokens/any", ("a", "b")),
    ] {
        assert_eq!(service.post(&cookie, path, &[field]).status, 403, "no password: {path}");
    }
    // A page that is the answer to a form cannot be opened by its address: it is a page all the same.
    let nowhere = service.get(&cookie, "/restore/plan");
    assert!(nowhere.status == 404 && nowhere.text().contains("Go to the overview"));
    let started = service.post(&cookie, &forget, &[("password", PASSWORD)]);
    assert_eq!(started.status, 303, "{}", started.text());
    service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        !text.contains("It is running")
    });
    assert_eq!(super::web::ids(&home.program), ids[1..]);
    // Protection is a click, and is seen.
    assert_eq!(service.post(&cookie, &format!("/snapshots/{}/keep", ids[1]), &[]).status, 303);
    assert!(service.get(&cookie, "/snapshots").text().contains("protected"));
}

#[test]
fn jellyfins_own_backups_are_imported_and_what_was_started_is_known_after_a_restart() {
    let home = home("");
    let backups = home.data.join("data/backups");
    let zip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zips/extremes-12.0.zip");
    write(backups.join("jellyfin-backup-20260801120000.zip"), std::fs::read(zip).unwrap());
    write(backups.join("notes.txt"), "no zip");
    std::os::unix::fs::symlink("/etc/passwd", backups.join("link.zip")).unwrap();
    write(
        &home.config,
        format!(
            "{}\n[notify]\ncommand = [\"/bin/sh\", \"-c\", \"echo \\\"$1\\\" > {}\"]\n",
            std::fs::read_to_string(&home.config).unwrap(),
            home.data.join("told").display()
        ),
    );
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let page = service.get(&cookie, "/import").text();
    assert!(
        page.contains("jellyfin-backup-20260801120000.zip")
            && !page.contains("notes.txt")
            && !page.contains("link.zip"),
        "{page}"
    );
    // Only what is listed: a name is no path.
    for odd in ["link.zip", "notes.txt", "../jellyfin.db", "--label", ""] {
        assert_eq!(service.post(&cookie, "/import", &[("zip", odd)]).status, 404, "{odd}");
    }
    let before = ids(&home.program).len();
    let form = [("zip", "jellyfin-backup-20260801120000.zip")];
    let started = service.post(&cookie, "/import", &form);
    assert_eq!(started.status, 303, "{}", started.text());
    let job = started.header("location").unwrap().to_owned();
    service.wait_for(&cookie, &job, |text| {
        text.contains("badge good") || text.contains("with problems")
    });
    assert_eq!(ids(&home.program).len(), before + 1);
    // The settings say who is told, and send a test.
    let settings = service.get(&cookie, "/settings").text();
    assert!(settings.contains("program: /bin/sh") && !settings.contains("echo"), "{settings}");
    let sentence = "One snapshot for each of the last 30 days that have one.";
    assert!(settings.contains(sentence), "{settings}");
    let test = service.post(&cookie, "/settings/notify", &[]);
    service.wait_for(&cookie, test.header("location").unwrap(), |text| text.contains("badge good"));
    assert!(home.data.join("told").exists());
    drop(service);
    // The service starts again.
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let list = service.get(&cookie, "/jobs").text();
    assert!(
        list.contains("Import jellyfin-backup-20260801120000.zip")
            && list.contains("Send a test of the alarms"),
        "{list}"
    );
    let job = service.get(&cookie, &job).text();
    assert!(job.contains("badge good") || job.contains("with problems"), "{job}");
}

#[test]
fn an_idle_service_sleeps() {
    let home = home("");
    let service = Service::start(&home.program);
    let tasks = format!("/proc/{}/task", service.pid());
    // How often its threads began to wait for something.
    let waits = || -> u64 {
        let threads = std::fs::read_dir(&tasks).unwrap();
        let of = |thread: std::fs::DirEntry| {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
        };
        threads.map(|thread| of(thread.unwrap())).sum()
    };
    // What it does at its start is over once nothing but the clock wakes it.
    let in_five_seconds = || {
        let before = waits();
        std::thread::sleep(std::time::Duration::from_secs(5));
        waits() - before
    };
    let least = (0..4).map(|_| in_five_seconds()).min().unwrap();
    assert!(least > 0, "nothing was counted");
    assert!(least <= 20, "it woke {least} times in five seconds");
}

#[test]
fn the_first_password_is_set_by_a_link_that_is_printed() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    write(
        program.home.path().join(".config/jellyvault/config.toml"),
        format!(
            "[server]\ndata_dir = {:?}\n[web]\nlisten = \"127.0.0.1:0\"\n",
            data.to_str().unwrap()
        ),
    );
    let service = Service::start(&program);
    let link = service.said.split("/setup/").nth(1).unwrap().trim();
    let path = format!("/setup/{link}");
    assert!(service.ask("GET", "/login", &[], &[]).text().contains("No password is set yet"));
    assert_eq!(service.ask("POST", "/login", &[], &[("password", "")]).status, 403);
    assert_eq!(service.ask("GET", "/setup/AAAA", &[], &[]).status, 404);
    assert_eq!(service.ask("GET", &path, &[], &[]).status, 200);
    let set = |password: &str, again: &str| {
        service.ask("POST", &path, &[], &[("password", password), ("again", again)])
    };
    assert_eq!((set("short", "short").status, set(PASSWORD, "another").status), (400, 400));
    let done = set(PASSWORD, PASSWORD);
    assert_eq!(done.status, 303, "{}", done.text());
    let cookie = done.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(service.get(&cookie, "/").status, 200);
    assert_eq!(set("a second password", "a second password").status, 404, "once only");
    service.sign_in(PASSWORD);
}

#[test]
fn other_machines_need_a_password_and_a_file_can_give_it() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let config = program.home.path().join(".config/jellyvault/config.toml");
    let web = |more: &str| {
        write(&config, format!("[server]\ndata_dir = {:?}\n[web]\n{more}", data.to_str().unwrap()))
    };
    web("listen = \"0.0.0.0:0\"\n");
    let output = program.command(&["serve"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1)
            && said.contains("no password is set")
            && said.contains("jellyvault web password"),
        "{said}"
    );
    let file = program.home.path().join("secret");
    write(&file, "from a file\n");
    web(&format!("listen = \"127.0.0.1:0\"\npassword_file = {:?}\n", file.to_str().unwrap()));
    let service = Service::start(&program);
    let cookie = service.sign_in("from a file");
    assert_eq!(
        service
            .post(
                &cookie,
                "/settings/password",
                &[("password", "from a file"), ("new", "another one")]
            )
            .status,
        400
    );
    drop(service);
    // Another password in the file ends all sessions; the same does not.
    let service = Service::start(&program);
    assert_eq!(service.get(&cookie, "/").status, 200);
    drop(service);
    write(&file, "another file\n");
    let service = Service::start(&program);
    assert_eq!(service.get(&cookie, "/").status, 303);
    service.sign_in("another file");
    drop(service);
    web("listen = \"here\"\n");
    assert_eq!(program.json(&["config", "check"]).1, 2);
    web("enabled = false\n");
    let mut quiet = program.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let id = rustix::process::Pid::from_raw(quiet.id() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    quiet.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut quiet.stderr.take().unwrap(), &mut said).unwrap();
    assert!(!said.contains("Web page"), "{said}");
}

#[test]
fn who_sends_nothing_or_too_much_stops_nobody() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let mut idle: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    for (number, stream) in idle.iter_mut().enumerate() {
        stream
            .write_all(if number % 2 == 0 { b"GET / HTTP/1.1\r\nHost: local" } else { b"P" })
            .unwrap();
    }
    assert_eq!(service.get(&cookie, "/").status, 200);
    let large = "x".repeat(300 << 10);
    assert_eq!(service.post(&cookie, "/jobs", &[("job", &large)]).status, 400);
    let many: Vec<(String, String)> =
        (0..200).map(|number| (format!("X-{number}"), "x".to_owned())).collect();
    let many: Vec<(&str, &str)> =
        many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(service.ask("GET", "/healthz", &many, &[]).status >= 400);
    // Downloads that nobody reads.
    let mut unread = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(service.address).unwrap();
        write!(
            stream,
            "GET /snapshots/latest/zip/ HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
            service.address
        )
        .unwrap();
        unread.push(stream);
    }
    let count = ids(&home.program).len();
    assert_eq!(service.post(&cookie, "/jobs", &[("job", "snapshot")]).status, 303);
    service.wait_for(&cookie, "/jobs", |text| text.contains("snapshot 0"));
    assert_eq!(ids(&home.program).len(), count + 1);
}

#[test]
fn a_repository_that_is_away_is_told_and_the_page_goes_on() {
    let home = home("");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    service.wait_for(&cookie, "/", |text| text.contains("Protected"));
    let away = home.program.home.path().join("unplugged");
    std::fs::rename(&home.program.repo, &away).unwrap();
    assert_eq!(service.post(&cookie, "/jobs", &[("job", "check")]).status, 303);
    let overview = service.wait_for(&cookie, "/", |text| text.contains("unavailable"));
    assert!(overview.contains("mount or connect"), "{overview}");
    assert_eq!(service.get(&cookie, "/snapshots").status, 503);
    assert!(!home.program.repo.exists(), "nothing was made in its place");
    std::fs::rename(&away, &home.program.repo).unwrap();
    assert_eq!(service.post(&cookie, "/jobs", &[("job", "check")]).status, 303);
    service.wait_for(&cookie, "/", |text| text.contains("Protected."));
    assert!(home.config.exists());
    // A second service says that its port is taken.
    let text = std::fs::read_to_string(&home.config).unwrap();
    write(&home.config, text.replace("127.0.0.1:0", &service.address.to_string()));
    let second = home.program.command(&["serve"]).output().unwrap();
    assert!(
        second.status.code() == Some(1)
            && String::from_utf8_lossy(&second.stderr).contains("cannot listen on"),
        "{second:?}"
    );
}
