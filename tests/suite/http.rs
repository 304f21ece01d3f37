//! A browser of few words, and the service that it talks to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::support::*;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What a hidden field of its forms holds.
    pub fn field(&self, name: &str) -> String {
        let text = self.text();
        let begin = format!("name=\"{name}\" value=\"");
        let rest = text
            .split(begin.as_str())
            .nth(1)
            .unwrap_or_else(|| panic!("no field {name} in {text}"));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A field of a form: its name, the name of its file, and its content.
pub type Field<'f> = (&'f str, Option<&'f str>, &'f [u8]);

/// A service with its page.
pub struct Service {
    child: Child,
    pub address: SocketAddr,
    /// What it said when it started.
    pub said: String,
}

impl Service {
    /// Starts it; the configuration must let it listen on port 0.
    pub fn start(program: &Program) -> Service {
        let mut child = program.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("http://") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address =
            said.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Service { child, address, said }
    }

    /// Asks, with these headers and this form.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Answer {
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let kind = "application/x-www-form-urlencoded";
        self.send(method, path, headers, kind, body.join("&").as_bytes())
    }

    /// Asks, with these headers and a body of this kind.
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        kind: &str,
        body: &[u8],
    ) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The answer to HTTP/1.0 ends with the connection.
        let mut head = format!("{method} {path} HTTP/1.0\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if method == "POST" {
            let length = body.len();
            head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A refusal may come before all of it is sent.
        drop(stream.write_all(body));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Signs in; the cookie.
    pub fn sign_in(&self, password: &str) -> String {
        let answer = self.ask("POST", "/login", &[], &[("password", password)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    pub fn get(&self, cookie: &str, path: &str) -> Answer {
        self.ask("GET", path, &[("Cookie", cookie)], &[])
    }

    /// Sends a form as the page does: with the token that stands on it.
    pub fn post(&self, cookie: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let token = self.get(cookie, "/settings").field("token");
        let form: Vec<(&str, &str)> =
            form.iter().copied().chain([("token", token.as_str())]).collect();
        self.ask("POST", path, &[("Cookie", cookie)], &form)
    }

    /// Sends a form with files as browsers do.
    pub fn upload(&self, cookie: &str, path: &str, fields: &[Field]) -> Answer {
        let mut body = Vec::new();
        for (name, file, content) in fields {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            let head =
                format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--edge--\r\n");
        let kind = "multipart/form-data; boundary=edge";
        self.send("POST", path, &[("Cookie", cookie)], kind, &body)
    }

    /// Waits for what a page says.
    pub fn wait_for(&self, cookie: &str, path: &str, is_so: impl Fn(&str) -> bool) -> String {
        for _ in 0..600 {
            let text = self.get(cookie, path).text();
            if is_so(&text) {
                return text;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{path}: {}", self.get(cookie, path).text());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        // One that ended by itself failed its test already.
        if rustix::process::kill_process(id, rustix::process::Signal::TERM).is_ok() {
            drop(self.child.wait());
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
