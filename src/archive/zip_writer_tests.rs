//! Entries that are ready before the zip has room for them, and one among them that fails.

use super::*;

#[test]
fn an_entry_that_fails_leaves_those_beside_it_as_they_are() {
    let head = |name: &str| EntryHead {
        name: name.to_owned(),
        method: Method::Stored,
        modified: DosTime { date: 33, time: 0 },
        mode: 0o644,
    };
    // A buffer that was used, and longer.
    let mut ready = ReadyEntries::new(vec![7; 100_000]);
    let contents = [("a", vec![1; 10]), ("größer.txt", vec![2; 70_000]), ("leer", vec![])];
    for (name, content) in &contents {
        let failed = ready.push(head("torn"), |bytes| {
            bytes.extend([9; 5]);
            Err::<(Method, u32, u64), &str>("no")
        });
        assert_eq!(failed.unwrap(), Err("no"));
        let crc = crc32fast::hash(content);
        ready
            .push(head(name), |bytes| {
                bytes.extend(content);
                Ok::<_, &str>((Method::Stored, crc, content.len() as u64))
            })
            .unwrap()
            .unwrap();
    }
    assert_eq!((ready.len(), ready.raw_bytes()), (3, 70_010));
    let (file, spool) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut zip = ZipWriter::new(file, spool);
    zip.begin(head("before"), false).unwrap();
    zip.append(b"bytes").unwrap();
    zip.end(crc32fast::hash(b"bytes"), 5).unwrap();
    zip.add(&ready).unwrap();
    let (file, written) = zip.finish().unwrap();
    assert_eq!(written.entries, 4);
    let mut read = zip::ZipArchive::new(file).unwrap();
    for (name, content) in [("before", b"bytes".to_vec())].iter().chain(&contents) {
        let mut bytes = Vec::new();
        read.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == *content, "{name}");
    }
}
