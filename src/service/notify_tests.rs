//! Alarms, against a server of the test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::*;

/// A server that takes requests and answers each with a status; what it was sent.
fn server(statuses: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            requests.push(format!("{head}\n{}", String::from_utf8(body).unwrap()));
            write!(reader.into_inner(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/elsewhere\r\nConnection: close\r\n\r\n")
                .unwrap();
        }
        requests
    });
    (address, thread)
}

fn message() -> Message {
    Message {
        title: "jellyvault: not protected".to_owned(),
        body: "The last snapshot is 2 days old.\nÄußerst alt.".to_owned(),
        level: Level::Bad,
    }
}

#[test]
fn each_service_gets_what_it_takes() {
    let (address, thread) = server(&["200 OK", "200 OK", "204 No Content", "200 OK", "200 OK"]);
    let one = |path: &str| Some(OneOrMany::One(format!("{address}{path}")));
    let notify = Notify {
        ntfy: one("/topic"),
        gotify: one("/message?token=T"),
        discord: one("/api/webhooks/1/T"),
        webhook: one("/hook"),
        healthchecks: Some(format!("{address}/uuid")),
        ..Notify::default()
    };
    notify.check().unwrap();
    assert!(notify.send(&message()).into_iter().all(|(_, outcome)| outcome.is_ok()));
    notify.ping(false, "disk full").unwrap();
    let requests = thread.join().unwrap();
    let has = |number: usize, texts: &[&str]| {
        texts.iter().for_each(|text| {
            assert!(requests[number].to_lowercase().contains(text), "{text}: {}", requests[number])
        })
    };
    has(0, &["post /topic", "title: jellyvault: not protected", "priority: 5", "äußerst alt"]);
    has(1, &["post /message?token=t", "\"priority\":8", "\"message\":"]);
    has(2, &["post /api/webhooks/1/t", "\"content\":\"**jellyvault", "\"parse\":[]"]);
    has(3, &["post /hook", "\"level\":\"bad\""]);
    has(4, &["post /uuid/fail", "disk full"]);
}

#[test]
fn what_is_not_taken_is_told_without_the_address_and_no_redirect_is_followed() {
    let (address, thread) = server(&["403 Forbidden", "302 Found"]);
    let notify = Notify {
        ntfy: Some(OneOrMany::Many(vec![
            format!("{address}/S3CRET"),
            format!("{address}/S3CRET"),
            "http://127.0.0.1:1/S3CRET".to_owned(),
        ])),
        ..Notify::default()
    };
    let outcomes: Vec<String> = notify
        .send(&message())
        .into_iter()
        .map(|(_, outcome)| outcome.unwrap_err().to_string())
        .collect();
    assert_eq!(thread.join().unwrap().len(), 2);
    assert!(
        outcomes[0].contains("403")
            && outcomes[1].contains("302")
            && outcomes[2].contains("not reached"),
        "{outcomes:?}"
    );
    assert!(!outcomes.concat().contains("S3CRET"), "{outcomes:?}");
}

#[test]
fn a_program_gets_title_and_text_as_arguments() {
    let script = "test \"$1\" = 'jellyvault: not protected' && test \"$JELLYVAULT_LEVEL\" = bad && case \"$2\" in *alt.) ;; *) exit 1;; esac";
    let notify = Notify {
        command: ["sh", "-c", script, "alarm"].map(str::to_owned).to_vec(),
        ..Notify::default()
    };
    assert!(notify.send(&message()).into_iter().all(|(_, outcome)| outcome.is_ok()));
    assert!(!notify.is_empty() && Notify::default().is_empty());
}

#[test]
fn addresses_that_are_none_are_told_without_their_secret() {
    let wrong = Notify {
        discord: Some(OneOrMany::One("discord.com/api/webhooks/1/S3CRET".to_owned())),
        ..Notify::default()
    }
    .check()
    .unwrap_err();
    assert!(wrong.contains("discord") && !wrong.contains("S3CRET"), "{wrong}");
    let header = Notify {
        email: Some(OneOrMany::One("me@example.org\nBcc: you@example.org".to_owned())),
        ..Notify::default()
    };
    assert!(header.check().is_err());
}
