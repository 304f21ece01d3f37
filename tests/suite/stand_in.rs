//! A stand-in for a running Jellyfin server, on loopback: it answers as real servers did
//! (`tests/fixtures/api`), and does to the database what they do. Faults can be ordered.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use rusqlite::Connection;
use serde_json::{Value, json};

/// The key that it accepts.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with an empty body.
    Status(u16),
    /// No answer until the other side goes away.
    Silence,
    /// The connection ends in the middle of the answer.
    CutOff,
    /// This text instead of the answer.
    Text(String),
    /// A redirect to this address.
    Redirect(String),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub authorization: String,
    pub body: String,
}

/// What it knows.
#[derive(Default)]
pub struct Known {
    pub asked: Vec<Asked>,
    /// Faults by the beginning of `METHOD PATH`: how often the request is answered well before, and
    /// how often it goes wrong then.
    pub faults: Vec<(String, usize, usize, Fault)>,
    /// Pictures of an item: kind → bytes and tag.
    pub pictures: BTreeMap<(String, String), (Vec<u8>, String)>,
    /// Entries of playlists and collections.
    pub lists: BTreeMap<String, Vec<String>>,
    /// What was made: id, and the request's document.
    pub made: Vec<(String, Value)>,
    /// The id that what is made next gets.
    pub next_id: String,
    /// How often the task list still shows a running scan.
    pub scans: usize,
    /// Somebody plays.
    pub is_playing: bool,
    /// How often the code is asked for before it was typed, and whether an administrator types it.
    pub code_after: usize,
    pub is_administrator: bool,
    /// Sign-ins that were ended.
    pub signed_out: usize,
    /// Replaces what the recordings say.
    pub id: Option<String>,
    pub version: Option<String>,
}

/// The server.
pub struct StandIn {
    pub url: String,
    pub known: Arc<Mutex<Known>>,
}

struct Server {
    recordings: Vec<Value>,
    known: Arc<Mutex<Known>>,
    database: PathBuf,
    id: String,
}

impl StandIn {
    /// A server of a recorded version on this data directory.
    pub fn start(version: &str, data: &Path) -> StandIn {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/api")
            .join(format!("{version}.json"));
        let recordings: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let id = std::fs::read_to_string(data.join("data/device.txt"))
            .unwrap()
            .trim_start_matches('\u{feff}')
            .trim()
            .to_owned();
        let known: Arc<Mutex<Known>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Server {
            recordings,
            known: known.clone(),
            database: data.join("data/jellyfin.db"),
            id,
        });
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        StandIn { url, known }
    }

    /// Changes what it knows.
    pub fn set(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }

    /// Orders a fault for all requests that begin so.
    pub fn fail(&self, request: &str, fault: Fault) {
        self.fail_later(request, 0, usize::MAX, fault);
    }

    /// The same after some requests that go well, for some requests.
    pub fn fail_later(&self, request: &str, after: usize, times: usize, fault: Fault) {
        self.set(|known| known.faults.push((request.to_owned(), after, times, fault)));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.set(|known| known.faults.clear());
    }

    /// The requests that came and that begin so.
    pub fn asked(&self, request: &str) -> Vec<Asked> {
        let known = self.known.lock().unwrap();
        known
            .asked
            .iter()
            .filter(|asked| format!("{} {}", asked.method, asked.path).starts_with(request))
            .cloned()
            .collect()
    }

    /// How many requests change something.
    pub fn changes(&self) -> usize {
        self.asked("POST").len()
    }
}

/// Status, type and body.
type Reply = (u16, &'static str, Vec<u8>);

fn document(value: &Value) -> Reply {
    (200, "application/json; charset=utf-8", value.to_string().into_bytes())
}

fn empty(status: u16) -> Reply {
    (status, "text/plain", Vec::new())
}

/// `445f4dbdb950…` as the database has it.
fn stored(id: &str) -> String {
    let id = id.to_uppercase();
    [&id[0..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]].join("-")
}

impl Server {
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        // Who only looks whether somebody listens asks nothing.
        let Some(first) = lines.first() else { return };
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let header = |name: &str| {
            lines.iter().find_map(|line| {
                line.split_once(": ")
                    .filter(|(own, _)| own.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned())
            })
        };
        let mut body =
            vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let asked = Asked {
            method,
            path,
            authorization: header("authorization").unwrap_or_default(),
            body: String::from_utf8(body).unwrap(),
        };
        let fault = self.fault(&asked);
        let (mut status, mut kind, mut bytes) =
            if fault.is_some() { empty(200) } else { self.reply(&asked) };
        let mut more = String::new();
        match fault {
            None => {}
            Some(Fault::Silence) => {
                // Whoever waits gives up.
                drop(reader.read(&mut [0]));
                return;
            }
            Some(Fault::Status(other)) => status = other,
            Some(Fault::Text(text)) => (kind, bytes) = ("application/json", text.into_bytes()),
            Some(Fault::Redirect(to)) => (status, more) = (302, format!("Location: {to}\r\n")),
            Some(Fault::CutOff) => {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"Id\": \"32"));
                return;
            }
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
        drop(stream.write_all(&[head.into_bytes(), bytes].concat()));
    }

    fn fault(&self, asked: &Asked) -> Option<Fault> {
        let mut known = self.known.lock().unwrap();
        known.asked.push(asked.clone());
        let request = format!("{} {}", asked.method, asked.path);
        let (_, after, times, fault) = known
            .faults
            .iter_mut()
            .find(|(begin, _, times, _)| request.starts_with(begin.as_str()) && *times > 0)?;
        if *after > 0 {
            *after -= 1;
            return None;
        }
        *times = times.saturating_sub(1);
        Some(fault.clone())
    }

    /// What a real server answered to a request that begins so, in words that the recording's note
    /// has.
    fn recorded(&self, method: &str, path: &str, note: &str) -> Reply {
        let is_it = |call: &&Value| {
            let request = &call["request"];
            request["method"] == method
                && request["path"].as_str().unwrap().starts_with(path)
                && call["note"].as_str().unwrap().contains(note)
        };
        let call = self
            .recordings
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no recording of {method} {path} ({note})"));
        let body = match &call["body"] {
            Value::Null => Vec::new(),
            Value::String(text) if call["headers"]["Content-Type"] == "text/plain" => {
                text.clone().into_bytes()
            }
            body => body.to_string().into_bytes(),
        };
        (call["status"].as_u64().unwrap() as u16, "application/json; charset=utf-8", body)
    }

    /// The same with this server's id, and what the test says instead.
    fn own(&self, reply: Reply) -> Reply {
        let known = self.known.lock().unwrap();
        let mut body: Value = serde_json::from_slice(&reply.2).unwrap();
        body["Id"] = json!(known.id.as_ref().unwrap_or(&self.id));
        if let Some(version) = &known.version {
            body["Version"] = json!(version);
        }
        document(&body)
    }

    fn reply(&self, asked: &Asked) -> Reply {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|part| {
                    part.split_once('=')
                        .filter(|(own, _)| *own == name)
                        .map(|(_, value)| value.to_owned())
                })
                .unwrap_or_default()
        };
        if path == "/System/Info/Public" {
            return self.own(self.recorded("GET", path, ""));
        }
        if path.starts_with("/QuickConnect")
            || path.starts_with("/Users/AuthenticateWithQuickConnect")
            || path == "/Sessions/Logout"
        {
            return self.quick_connect(path, &value("secret"), asked);
        }
        if asked.authorization != format!("MediaBrowser Token=\"{KEY}\"") {
            let note =
                if asked.authorization.is_empty() { "without a key" } else { "with a wrong key" };
            return self.recorded("GET", "/System/Info", note);
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["System", "Info"]) => self.own(self.recorded_of_key("/System/Info")),
            ("GET", ["ScheduledTasks"]) => {
                let mut known = self.known.lock().unwrap();
                let note = if known.scans > 0 { "while the scan runs" } else { "all idle" };
                known.scans = known.scans.saturating_sub(1);
                self.recorded("GET", "/ScheduledTasks", note)
            }
            ("GET", ["Sessions"]) => {
                let note = if self.known.lock().unwrap().is_playing {
                    "Ana plays"
                } else {
                    "nobody plays"
                };
                self.recorded("GET", "/Sessions", note)
            }
            ("POST", ["UserItems", item, "UserData"]) => {
                self.set_state(item, &value("userId"), &asked.body)
            }
            ("GET", ["Items", item, "Images"]) if self.has_item(item) => self.pictures_of(item),
            ("POST", ["Items", item, "Images", kind]) if self.has_item(item) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(&asked.body).unwrap();
                let mut known = self.known.lock().unwrap();
                let tag = blake3::hash(format!("{}{}", asked.body, known.asked.len()).as_bytes())
                    .to_hex()[..32]
                    .to_owned();
                known.pictures.insert(((*item).to_owned(), (*kind).to_owned()), (bytes, tag));
                empty(204)
            }
            ("GET", ["Playlists", list, "Items"]) => {
                self.entries_of(list, &value("StartIndex"), &value("Limit"))
            }
            ("GET", ["Items"]) => {
                self.entries_of(&value("ParentId"), &value("StartIndex"), &value("Limit"))
            }
            ("POST", ["Playlists"]) => self.make(&serde_json::from_str(&asked.body).unwrap()),
            ("POST", ["Collections"]) => {
                let ids: Vec<String> = value("ids")
                    .split(',')
                    .filter(|id| !id.is_empty())
                    .map(str::to_owned)
                    .collect();
                self.make(&json!({"Name": value("name"), "Ids": ids}))
            }
            ("POST", ["Playlists" | "Collections", list, "Items"]) => {
                let ids: Vec<String> = value("ids").split(',').map(str::to_owned).collect();
                self.known.lock().unwrap().lists.entry((*list).to_owned()).or_default().extend(ids);
                empty(204)
            }
            _ => empty(404),
        }
    }

    fn recorded_of_key(&self, path: &str) -> Reply {
        let call = self
            .recordings
            .iter()
            .find(|call| call["request"]["path"] == path && call["request"]["auth"] == "key")
            .unwrap();
        document(&call["body"])
    }

    fn has_item(&self, item: &str) -> bool {
        let is_made = self.known.lock().unwrap().made.iter().any(|(id, _)| id == item);
        let db = Connection::open(&self.database).unwrap();
        is_made
            || db
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM BaseItems WHERE Id = ?1)",
                    [stored(item)],
                    |row| row.get(0),
                )
                .unwrap()
    }

    fn pictures_of(&self, item: &str) -> Reply {
        let known = self.known.lock().unwrap();
        let own = known.pictures.iter().filter(|((of, _), _)| of == item);
        let picture = |((_, kind), (_, tag)): (&(String, String), &(Vec<u8>, String))| json!({"ImageType": kind, "ImageTag": tag, "Path": format!("/srv/config/metadata/library/{}/{item}/{kind}.jpg", &item[..2])});
        document(&own.map(picture).collect())
    }

    fn entries_of(&self, list: &str, start: &str, limit: &str) -> Reply {
        let known = self.known.lock().unwrap();
        let Some(all) = known.lists.get(list) else { return empty(404) };
        let page = all.iter().skip(start.parse().unwrap()).take(limit.parse().unwrap());
        document(
            &json!({"Items": page.map(|id| json!({"Id": id, "Name": "x"})).collect::<Vec<_>>(), "TotalRecordCount": all.len()}),
        )
    }

    fn make(&self, wanted: &Value) -> Reply {
        // An id that is not there is accepted without a word.
        let ids: Vec<String> = wanted["Ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        let ids = ids.into_iter().filter(|id| self.has_item(id)).collect();
        let mut known = self.known.lock().unwrap();
        let id = known.next_id.clone();
        known.lists.insert(id.clone(), ids);
        known.made.push((id.clone(), wanted.clone()));
        document(&json!({"Id": id}))
    }

    /// As both servers did: what is absent or null stays, and every row of the item says the same.
    fn set_state(&self, item: &str, user: &str, body: &str) -> Reply {
        let wanted: Value = serde_json::from_str(body).unwrap();
        if !self.has_item(item) || item.ends_with("0000000001") {
            return self.recorded(
                "POST",
                "/UserItems/00000000000000000000000000000001",
                "an item that is not there",
            );
        }
        let db = Connection::open(&self.database).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let (stored_item, stored_user) = (stored(item), stored(user));
        let insert = "INSERT INTO UserData (ItemId, UserId, CustomDataKey, PlaybackPositionTicks, PlayCount, IsFavorite, Played) \
             SELECT ?1, ?2, lower(?1), 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM UserData WHERE ItemId = ?1 AND UserId = ?2)";
        db.execute(insert, [&stored_item, &stored_user]).unwrap();
        for name in [
            "PlaybackPositionTicks",
            "PlayCount",
            "IsFavorite",
            "Likes",
            "LastPlayedDate",
            "Played",
            "Rating",
        ] {
            let value: rusqlite::types::Value = match &wanted[name] {
                Value::Null => continue,
                Value::Bool(is_so) => i64::from(*is_so).into(),
                Value::Number(number) => {
                    number.as_i64().map_or_else(|| number.as_f64().unwrap().into(), Into::into)
                }
                text => {
                    text.as_str().unwrap().replace('T', " ").trim_end_matches('Z').to_owned().into()
                }
            };
            let sql = format!("UPDATE UserData SET {name} = ?3 WHERE ItemId = ?1 AND UserId = ?2");
            db.execute(&sql, rusqlite::params![stored_item, stored_user, value]).unwrap();
        }
        let sql = "SELECT PlaybackPositionTicks, PlayCount, IsFavorite, Played, Rating, Likes, LastPlayedDate FROM UserData WHERE ItemId = ?1 AND UserId = ?2";
        let answer = db.query_row(sql, [&stored_item, &stored_user], |row| {
            let (ticks, count, favourite, played): (i64, i64, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let (rating, likes, date): (Option<f64>, Option<bool>, Option<String>) = (row.get(4)?, row.get(5)?, row.get(6)?);
            let mut answer = json!({"PlaybackPositionTicks": ticks, "PlayCount": count, "IsFavorite": favourite, "Played": played, "ItemId": item});
            rating.iter().for_each(|rating| answer["Rating"] = json!(rating));
            likes.iter().for_each(|likes| answer["Likes"] = json!(likes));
            date.iter().for_each(|date| answer["LastPlayedDate"] = json!(format!("{}Z", date.replace(' ', "T"))));
            Ok(answer)
        });
        document(&answer.unwrap())
    }

    fn quick_connect(&self, path: &str, secret: &str, asked: &Asked) -> Reply {
        let mut known = self.known.lock().unwrap();
        match path {
            "/QuickConnect/Enabled" => self.recorded("GET", path, ""),
            "/QuickConnect/Initiate" => self.recorded("POST", path, ""),
            "/QuickConnect/Connect" if secret != "SECRET" => {
                self.recorded("GET", path, "unknown secret")
            }
            "/QuickConnect/Connect" if known.code_after > 0 => {
                known.code_after -= 1;
                self.recorded("GET", path, "not yet authorised")
            }
            "/QuickConnect/Connect" => {
                let call =
                    self.recordings.iter().find(|call| call["note"] == "authorised").unwrap();
                document(&call["body"])
            }
            "/Sessions/Logout" => {
                known.signed_out += usize::from(asked.authorization.contains("Token="));
                empty(204)
            }
            _ if known.code_after > 0 => self.recorded("POST", path, "too early"),
            _ => {
                let mut body: Value =
                    serde_json::from_slice(&self.recorded("POST", path, "gives a token").2)
                        .unwrap();
                body["ServerId"] = json!(known.id.as_ref().unwrap_or(&self.id));
                body["User"]["ServerId"] = body["ServerId"].clone();
                body["User"]["Policy"]["IsAdministrator"] = json!(known.is_administrator);
                document(&body)
            }
        }
    }
}
