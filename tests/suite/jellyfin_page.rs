//! The page and the running server: signing in by Quick Connect, and watch state and pictures that
//! are set through the server. Without scripts.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use rusqlite::Connection;

use super::http::{Answer, Service};
use super::stand_in::{Fault, KEY, StandIn};
use super::support::*;

const PASSWORD: &str = "correct horse";
const SUNDAY: &str = "2b24d773e19c9ae17bdadd451a628992";

struct Home {
    program: Program,
    data: PathBuf,
    server: StandIn,
    _open: Connection,
}

fn home(version: &str) -> Home {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let open = Connection::open(data.join("data/jellyfin.db")).unwrap();
    open.query_row("SELECT count(*) FROM Users", [], |row| row.get::<_, i64>(0)).unwrap();
    let server = StandIn::start(version, &data);
    let key = program.home.path().join("key");
    write(&key, KEY);
    let rest = "[snapshot]\nenabled = false\n[retention]\nenabled = false\n[check]\nenabled = false\n[drill]\nenabled = false\n";
    let jellyfin = format!("[jellyfin]\nurl = {:?}\napi_key_file = {key:?}\n", server.url);
    let config = program.home.path().join(".config/jellyvault/config.toml");
    write(
        config,
        format!(
            "[server]\ndata_dir = {:?}\n{rest}{jellyfin}[web]\nlisten = \"127.0.0.1:0\"\n",
            data.to_str().unwrap()
        ),
    );
    let_settle();
    program.ok(&["snapshot"]);
    let mut child =
        program.command(&["-q", "web", "password"]).stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success());
    Home { program, data, server, _open: open }
}

/// Begins to sign in; the cookie and the address that shows the code.
fn begin(service: &Service, next: &str) -> (String, String) {
    let begun = service.ask("POST", "/login/quick", &[], &[("next", next)]);
    assert_eq!(begun.status, 303, "{}", begun.text());
    let set = begun.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    (set.split(';').next().unwrap().to_owned(), begun.header("location").unwrap().to_owned())
}

/// Looks until the server was asked and something else is said.
fn look(service: &Service, cookie: &str, address: &str) -> Answer {
    for _ in 0..100 {
        let answer = service.get(cookie, address);
        if answer.status != 200 {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("the code waits for ever")
}

fn session(answer: &Answer) -> String {
    let set = answer
        .headers
        .iter()
        .find(|(name, value)| {
            name.eq_ignore_ascii_case("set-cookie") && value.starts_with("jellyvault=")
        })
        .unwrap();
    set.1.split(';').next().unwrap().to_owned()
}

#[test]
fn an_administrator_signs_in_by_a_code_and_nobody_else_does() {
    for version in ["10.11.6", "12.0"] {
        let home = home(version);
        let service = Service::start(&home.program);
        assert!(service.ask("GET", "/login", &[], &[]).text().contains("Sign in with Jellyfin"));
        home.server.set(|known| (known.code_after, known.is_administrator) = (1, true));
        let (cookie, address) = begin(&service, "/health");
        let code = service.get(&cookie, &address);
        let recorded = if version == "12.0" { "371220" } else { "648384" };
        assert!(code.text().contains(recorded), "{}", code.text());
        assert_eq!(
            (code.header("refresh"), code.header("cache-control")),
            (Some("3"), Some("no-store")),
            "the page goes on without a script"
        );
        assert!(!code.text().contains("SECRET"), "the secret of the sign-in stays here");
        // Another browser has no part in it, and the code alone lets nobody in.
        assert_eq!(service.ask("GET", &address, &[], &[]).status, 410);
        assert_eq!(service.get(&cookie, "/").status, 303);
        let entered = look(&service, &cookie, &address);
        assert_eq!(
            (entered.status, entered.header("location")),
            (303, Some("/health")),
            "{}",
            entered.text()
        );
        let own = session(&entered);
        assert_eq!(service.get(&own, "/").status, 200);
        // The sign-in ended at once on the server, and cannot be used again.
        assert_eq!(home.server.known.lock().unwrap().signed_out, 1);
        assert_eq!(service.get(&cookie, &address).status, 410);
        assert!(
            home.server
                .asked("")
                .iter()
                .filter(|asked| asked.path.starts_with("/QuickConnect"))
                .all(|asked| !asked.authorization.contains(KEY))
        );
        // Who is no administrator stays outside.
        home.server.set(|known| (known.code_after, known.is_administrator) = (0, false));
        let (cookie, address) = begin(&service, "/");
        let refused = look(&service, &cookie, &address);
        assert!(
            refused.status == 403 && refused.text().contains("not an administrator"),
            "{}",
            refused.text()
        );
        assert!(!refused.headers.iter().any(|(_, value)| value.starts_with("jellyvault=")));
        assert_eq!(home.server.known.lock().unwrap().signed_out, 2);
    }
}

#[test]
fn another_server_one_that_is_gone_and_endless_attempts_let_nobody_in() {
    let home = home("12.0");
    let service = Service::start(&home.program);
    home.server.set(|known| (known.code_after, known.is_administrator) = (0, true));
    let (cookie, address) = begin(&service, "/");
    // Between the code and the answer somebody put another server in its place.
    home.server.set(|known| known.id = Some("0".repeat(32)));
    let refused = look(&service, &cookie, &address);
    assert!(
        refused.status == 502 && refused.text().contains("another Jellyfin server"),
        "{}",
        refused.text()
    );
    let begun = service.ask("POST", "/login/quick", &[], &[]);
    assert!(
        begun.status == 502 && begun.text().contains("another Jellyfin server"),
        "{}",
        begun.text()
    );
    home.server.set(|known| known.id = None);
    home.server.fail("GET /QuickConnect/Enabled", Fault::Text("false".to_owned()));
    let off = service.ask("POST", "/login/quick", &[], &[]);
    assert!(off.status == 502 && off.text().contains("turned off"), "{}", off.text());
    // Attempts that come to nothing count as wrong passwords, for both ways in.
    let waits = (0..40)
        .map(|_| service.ask("POST", "/login/quick", &[], &[]))
        .find(|answer| answer.status == 429)
        .unwrap();
    assert!(waits.header("retry-after").is_some());
    // The wait grows, so a slow machine sees it as well. An empty password is not counted.
    let is_refused = |_| {
        service.ask("POST", "/login/quick", &[], &[]).status > 0
            && service.ask("POST", "/login", &[], &[("password", "")]).status == 429
    };
    assert!((0..40).any(is_refused));
    // Another site's form begins nothing.
    let asked = home.server.asked("").len();
    let forged = service.ask(
        "POST",
        "/login/quick",
        &[("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")],
        &[],
    );
    assert_eq!((forged.status, home.server.asked("").len()), (403, asked));
}

#[test]
fn without_an_address_of_the_server_nothing_is_offered_and_nothing_is_asked() {
    let home = home("12.0");
    let config = home.program.home.path().join(".config/jellyvault/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("url") && !line.starts_with("api_key_file"))
        .collect();
    write(&config, text.join("\n"));
    let service = Service::start(&home.program);
    assert!(!service.ask("GET", "/login", &[], &[]).text().contains("Quick Connect"));
    assert_eq!(service.ask("POST", "/login/quick", &[], &[]).status, 404);
    let cookie = service.sign_in(PASSWORD);
    let page = service.get(&cookie, &format!("/restore?snapshot=latest&path=metadata/library/2b/{SUNDAY}/poster.png&item={SUNDAY}")).text();
    assert!(!page.contains("through the running server") && page.contains("Only this: "), "{page}");
    assert!(home.server.asked("").is_empty());
}

#[test]
fn one_users_watch_state_and_one_picture_come_back_from_the_page_while_the_server_runs() {
    let home = home("12.0");
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    run_sql(
        &home.data.join("data/jellyfin.db"),
        "UPDATE UserData SET PlayCount = 41 WHERE UserId = '4E43CDA4-C12F-455D-AEB8-2F4A712F7B5B'",
    );
    let page = service.get(&cookie, "/restore").text();
    assert!(
        page.contains("value=\"watch-state\"") && page.contains("<option value=\"Ana\">"),
        "{page}"
    );
    let form = [("snapshot", "latest"), ("what", "watch-state"), ("user", "Ana")];
    let plan = service.post(&cookie, "/restore/plan", &form);
    assert!(
        plan.status == 200 && plan.text().contains("would be set through the running server"),
        "{}",
        plan.text()
    );
    assert_eq!(
        (home.server.changes(), plan.field("user")),
        (0, "Ana".to_owned()),
        "the plan changes nothing"
    );
    let started = service.post(&cookie, "/restore/run", &form);
    assert_eq!(started.status, 303, "{}", started.text());
    let done = service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("was set through the running server")
    });
    assert!(done.contains("To undo: jellyvault") && home.server.changes() > 3, "{done}");
    // A picture, from the page of its item.
    let file = format!("metadata/library/2b/{SUNDAY}/poster.png");
    let then = std::fs::read(home.data.join(&file)).unwrap();
    home.server.set(|known| {
        drop(
            known.pictures.insert(
                (SUNDAY.to_owned(), "Primary".to_owned()),
                (b"now".to_vec(), "a".repeat(32)),
            ),
        )
    });
    let item = service.get(&cookie, &format!("/library/{SUNDAY}")).text();
    let link = item
        .split("href=\"")
        .find(|part| part.starts_with("/restore?snapshot=") && part.contains("replace=1"))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let page = service.get(&cookie, &link.replace("&amp;", "&"));
    assert!(
        page.text().contains("This picture, set through the running server"),
        "{}",
        page.text()
    );
    let (snapshot, path, item) = ("latest", page.field("path"), page.field("item"));
    let form = [
        ("snapshot", snapshot),
        ("what", "picture"),
        ("path", path.as_str()),
        ("item", item.as_str()),
    ];
    let plan = service.post(&cookie, "/restore/plan", &form).text();
    assert!(
        plan.contains("would be set through the server") && !plan.contains("at the next start"),
        "{plan}"
    );
    let started = service.post(&cookie, "/restore/run", &form);
    service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("The server shows it now")
    });
    assert_eq!(
        home.server.known.lock().unwrap().pictures[&(SUNDAY.to_owned(), "Primary".to_owned())].0,
        then
    );
    // The playlist itself: it was deleted.
    let link = format!("/restore?snapshot=latest&list=playlist:{SUNDAY}");
    let item = service.get(&cookie, &format!("/library/{SUNDAY}")).text();
    assert!(item.contains(&format!("list=playlist:{SUNDAY}")), "{item}");
    run_sql(
        &home.data.join("data/jellyfin.db"),
        "PRAGMA foreign_keys = OFF; DELETE FROM BaseItems WHERE Id = '2B24D773-E19C-9AE1-7BDA-DD451A628992'",
    );
    home.server.set(|known| known.next_id = SUNDAY.to_owned());
    let page = service.get(&cookie, &link);
    let (list, name) = (page.field("list"), page.field("name"));
    assert_eq!(name, "Sunday “Best”");
    let form = [("snapshot", "latest"), ("what", "list"), ("list", &list), ("name", &name)];
    let plan = service.post(&cookie, "/restore/plan", &form).text();
    assert!(plan.contains("would be made again") && !plan.contains("at the next start"), "{plan}");
    let before = home.server.changes();
    let started = service.post(&cookie, "/restore/run", &form);
    service.wait_for(&cookie, started.header("location").unwrap(), |text| {
        text.contains("was made again")
    });
    assert!(home.server.changes() > before);
    for odd in ["playlist:", "playlist:--to=x", "folder:2b24d773e19c9ae17bdadd451a628992"] {
        let form = [("snapshot", "latest"), ("what", "list"), ("list", odd)];
        assert_eq!(service.post(&cookie, "/restore/plan", &form).status, 400);
    }
    // What a form says is no option of the command.
    for odd in [
        [("item", "--to=/tmp"), ("path", "x/poster.png")],
        [("item", SUNDAY), ("path", "x/--to=x.png")],
    ] {
        let form = [[("snapshot", "latest"), ("what", "picture")], odd].concat();
        assert_eq!(service.post(&cookie, "/restore/plan", &form).status, 400);
    }
    let odd = service.post(
        &cookie,
        "/restore/plan",
        &[("snapshot", "latest"), ("what", "watch-state"), ("user", "--delete")],
    );
    assert!(
        odd.text().contains("--delete") && home.server.changes() > 0,
        "a user of that name is looked for: {}",
        odd.text()
    );
}
