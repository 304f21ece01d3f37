//! E-mail, against a mail server of the test's own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use super::super::notify::Notify;
use super::super::one_or_many::OneOrMany;
use super::*;
use crate::service::level::Level;

/// A mail server that takes one connection; what it was told, a line each. Commands that begin so
/// are refused with this answer.
fn server(refused: &'static [(&str, &str)]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("smtp://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut told = Vec::new();
        out.write_all(b"220 here\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            told.push(line.clone());
            let answer = match refused.iter().find(|(begin, _)| line.starts_with(begin)) {
                Some((_, answer)) => (*answer).to_owned(),
                None if line.starts_with("EHLO") => "250-here\r\n250 AUTH PLAIN".to_owned(),
                None if line.starts_with("AUTH") => "235 welcome".to_owned(),
                None if line == "DATA" => "354 go on".to_owned(),
                None => "250 fine".to_owned(),
            };
            out.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
            if line == "DATA" && answer.starts_with("354") {
                told.extend(lines.by_ref().map(Result::unwrap).take_while(|line| line != "."));
                out.write_all(b"250 taken\r\n").unwrap();
            }
            if line == "QUIT" {
                break;
            }
        }
        told
    });
    (address, thread)
}

fn message() -> Message {
    Message {
        title: "jellyvault: not protected – Ä".to_owned(),
        body: "The last snapshot is 2 days old.\n.\nÄußerst alt.".to_owned(),
        level: Level::Bad,
    }
}

fn notify(smtp: &str) -> Notify {
    Notify {
        email: Some(OneOrMany::Many(vec![
            "ana@example.org".to_owned(),
            "ben@example.org".to_owned(),
        ])),
        smtp: Some(smtp.to_owned()),
        ..Notify::default()
    }
}

/// What became of it, in words; nothing where it was sent.
fn outcome(notify: &Notify) -> Option<String> {
    notify.check().unwrap();
    let mut outcomes = notify.send(&message());
    assert_eq!(outcomes.len(), 1);
    outcomes.pop().unwrap().1.err().map(|error| error.to_string())
}

#[test]
fn a_mail_server_gets_the_message_whole() {
    let (address, thread) = server(&[]);
    assert_eq!(outcome(&notify(&address)), None);
    let told = thread.join().unwrap();
    let has = |line: &str| assert!(told.iter().any(|told| told == line), "{line}: {told:?}");
    has("MAIL FROM:<ana@example.org>");
    has("RCPT TO:<ana@example.org>");
    has("RCPT TO:<ben@example.org>");
    has("To: ana@example.org, ben@example.org");
    has("Subject: =?utf-8?B?amVsbHl2YXVsdDogbm90IHByb3RlY3RlZCDigJMgw4Q=?=");
    assert!(told.iter().any(|line| line.starts_with("Date: ") && line.len() > 20), "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("AUTH")), "{told:?}");
    let body: String = told.iter().skip_while(|line| !line.is_empty()).cloned().collect();
    let body = BASE64.decode(body.trim_end_matches("QUIT").as_bytes()).unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), format!("{}\n", message().body));
}

#[test]
fn who_signs_in_does_so_with_the_password_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let mut open = std::fs::File::create(&file).unwrap();
    open.write_all("pass wörd\n".as_bytes()).unwrap();
    let signed_in = |address: &str| Notify {
        smtp_user: Some("me@example.org".to_owned()),
        smtp_password_file: Some(file.clone()),
        ..notify(address)
    };
    let (address, thread) = server(&[]);
    assert_eq!(outcome(&signed_in(&address)), None);
    let told = thread.join().unwrap();
    let plain = BASE64.encode("\0me@example.org\0pass wörd".as_bytes());
    assert!(told.contains(&format!("AUTH PLAIN {plain}")), "{told:?}");
    assert!(told.contains(&"MAIL FROM:<me@example.org>".to_owned()), "{told:?}");
    // The wrong one.
    let (address, thread) = server(&[("AUTH", "535 no: pass wörd")]);
    let what = outcome(&signed_in(&address)).unwrap();
    thread.join().unwrap();
    assert!(what.contains("did not accept") && !what.contains("wörd"), "{what}");
    // None.
    std::fs::remove_file(&file).unwrap();
    let what = outcome(&signed_in("smtp://127.0.0.1:1")).unwrap();
    assert!(what.contains("password") && what.contains("could not be read"), "{what}");
}

#[test]
fn what_a_mail_server_refuses_is_told() {
    let (address, thread) = server(&[("RCPT TO:<ben", "550 ben is not here")]);
    let what = outcome(&notify(&address)).unwrap();
    thread.join().unwrap();
    assert!(what.contains("refused") && what.contains("550"), "{what}");
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let what = outcome(&notify(&format!("smtp://127.0.0.1:{port}"))).unwrap();
    assert!(what.contains("not reached"), "{what}");
    // One that should encrypt, and does not know how.
    let (address, thread) = server(&[]);
    let what = outcome(&notify(&address.replace("smtp://", "smtps://"))).unwrap();
    drop(thread);
    assert!(what.contains("encrypted") || what.contains("not reached"), "{what}");
}

#[test]
fn a_password_leaves_this_machine_encrypted_only() {
    let parse = |address: &str, has_user| {
        let server = Server::parse(address, has_user)?;
        Ok::<_, String>((server.host, server.port, server.encryption))
    };
    let is = |host: &str, port, encryption| Ok((host.to_owned(), port, encryption));
    for has_user in [true, false] {
        assert_eq!(
            parse("smtps://m.example.org", has_user),
            is("m.example.org", 465, Encryption::AtOnce)
        );
        for here in ["localhost", "127.0.0.1", "::1"] {
            let address = if here.contains(':') { format!("[{here}]") } else { here.to_owned() };
            assert_eq!(
                parse(&format!("smtp://{address}:2525"), has_user),
                is(here, 2525, Encryption::None)
            );
        }
    }
    assert_eq!(
        parse("smtp://m.example.org/", true),
        is("m.example.org", 587, Encryption::Required)
    );
    assert_eq!(
        parse("smtp://m.example.org:25", true),
        is("m.example.org", 25, Encryption::Required)
    );
    assert_eq!(parse("smtp://nas", false), is("nas", 25, Encryption::Offered));
    for wrong in [
        "m.example.org",
        "https://m",
        "smtp://",
        "smtp://m:x",
        "smtp://me:S3CRET@m",
        "smtps://m/a b",
    ] {
        let what = parse(wrong, false).unwrap_err();
        assert!(what.starts_with("smtp: ") && !what.contains("S3CRET"), "{what}");
    }
}

#[test]
fn settings_that_do_not_fit_are_told_and_the_password_is_not_shown() {
    let some = |text: &str| Some(text.to_owned());
    let good = Notify {
        smtp_user: some("me"),
        smtp_password: some("S3CRET"),
        ..notify("smtps://m.example.org")
    };
    good.check().unwrap();
    assert!(!format!("{:?}", good.masked()).contains("S3CRET"));
    for wrong in [
        Notify { smtp: None, ..good.clone() },
        Notify { smtp_password: None, ..good.clone() },
        Notify { smtp_user: None, ..good.clone() },
        Notify { smtp_password_file: Some("/p".into()), ..good.clone() },
        Notify { smtp_from: some("me@example.org\nBcc: x@y"), ..good.clone() },
        Notify { smtp: some("m.example.org"), ..good },
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

#[test]
fn subjects_in_any_language_are_short_lines_that_are_read_back() {
    assert_eq!(header("all is\r\nwell"), "all is  well");
    let title =
        "Anas Überwachung: 日本語のタイトルはここでとても長いです、そして続きます ".repeat(5);
    let told = header(&title);
    let mut read = Vec::new();
    for line in told.split("\n ") {
        assert!(line.len() <= 75 && line.is_ascii(), "{line}");
        let word =
            line.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
        let bytes = BASE64.decode(word.as_bytes()).unwrap();
        assert!(std::str::from_utf8(&bytes).is_ok(), "a character is cut in two");
        read.extend(bytes);
    }
    assert_eq!(String::from_utf8(read).unwrap(), title);
}
