//! Tests of `accounts.rs`.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

#[test]
fn a_password_opens_for_itself_alone_and_is_not_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new/web.json");
    assert_eq!(Accounts::read(&file).unwrap(), Accounts::default());
    let mut accounts = Accounts::default();
    assert!(matches!(accounts.set_password("short"), Err(Trouble::Length)));
    assert!(matches!(accounts.set_password(&"x".repeat(1025)), Err(Trouble::Length)));
    accounts.set_password("correct horse").unwrap();
    accounts.write(&file).unwrap();
    let back = Accounts::read(&file).unwrap();
    let hash = back.password.clone().unwrap();
    assert!(hash.starts_with("$argon2id$") && is_password("correct horse", &hash));
    assert!(
        !is_password("correct horse ", &hash)
            && !is_password("", &hash)
            && !is_password("x", "no hash")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("correct horse"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut damaged = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
    damaged.write_all(b"{\"password\": 7").unwrap();
    damaged.persist(&file).unwrap();
    assert!(
        matches!(Accounts::read(&file), Err(Trouble::Damaged(_))),
        "a damaged file is not one without a password"
    );
}

#[test]
fn sessions_end_when_they_are_not_used_or_the_password_is_another() {
    let mut accounts = Accounts::default();
    let secret = accounts.sign_in("Firefox", at(0)).unwrap();
    let days = |days: i64| at(days * 86_400);
    assert!(accounts.session(&secret, days(29)).is_some());
    assert!(accounts.session(&secret, days(30)).is_none());
    assert!(accounts.session("another", at(1)).is_none());
    assert!(!serde_json::to_string(&accounts).unwrap().contains(&secret));
    accounts.set_password("another password").unwrap();
    assert!(accounts.session(&secret, at(1)).is_none());
    for number in 0..60 {
        accounts.sign_in("x", at(number)).unwrap();
    }
    assert_eq!((accounts.sessions.len(), accounts.sessions[0].seen), (50, at(10)));
    let token = accounts.add_token("grafana", at(0)).unwrap();
    assert!(accounts.has_token(&token) && !accounts.has_token("x"));
}
