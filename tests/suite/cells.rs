//! Databases that SQLite made, in every pattern, and damaged ones: each page comes back as it was,
//! from its own part of the sequence alone.

use std::ops::Range;

use proptest::prelude::*;

use jellyvault::store::cells::{
    Before, Content, Cutter, GROUP_BYTES_MAX, Host, Shapes, walk, walk_after,
};

/// A database in memory, and the sequence of its cells.
struct Memory<'f> {
    file: &'f [u8],
    page_bytes: usize,
    sequence: Vec<u8>,
    groups: Vec<Vec<u8>>,
    cutter: Cutter,
    reads: usize,
    /// Groups of the state before.
    before: &'f [Vec<u8>],
}

impl Memory<'_> {
    fn close(&mut self) {
        if let Some(len) = self.cutter.end() {
            self.groups.push(self.sequence[self.sequence.len() - len..].to_vec());
        }
    }
}

impl Host for Memory<'_> {
    type Error = std::convert::Infallible;

    fn page(&mut self, number: u32, out: &mut Vec<u8>) -> Result<(), Self::Error> {
        self.reads += 1;
        out.clear();
        out.extend_from_slice(
            &self.file[(number as usize - 1) * self.page_bytes..][..self.page_bytes],
        );
        Ok(())
    }

    fn cell(&mut self, bytes: &[u8]) -> Result<bool, Self::Error> {
        self.sequence.extend_from_slice(bytes);
        let ends = self.cutter.take(bytes);
        if ends {
            self.close();
        }
        Ok(ends)
    }

    fn known(&mut self, group: usize) -> Result<(), Self::Error> {
        let open = self.cutter.end().unwrap_or(0);
        let group = &self.before[group];
        assert!(
            open <= group.len() && self.sequence.ends_with(&group[..open]),
            "what was told of a group is not what it begins with"
        );
        self.sequence.truncate(self.sequence.len() - open);
        self.sequence.extend_from_slice(group);
        self.groups.push(group.clone());
        Ok(())
    }

    fn resume(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.sequence.extend_from_slice(bytes);
        self.cutter.go_on(bytes.len());
        Ok(())
    }

    fn changed(&self) -> Self::Error {
        unreachable!("nothing changes here")
    }

    fn boundary(&mut self) -> Result<(), Self::Error> {
        self.close();
        Ok(())
    }
}

/// Parts of a sequence; all else is not there.
struct Parts<'s>(&'s [u8], &'s [Range<u64>]);

impl Content for Parts<'_> {
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        assert!(self.1.contains(&range));
        self.0.get(range.start as usize..range.end as usize)
    }
}

fn take_apart(file: &[u8], page_bytes: usize) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    let mut memory = Memory {
        file,
        page_bytes,
        sequence: Vec::new(),
        groups: Vec::new(),
        cutter: Cutter::default(),
        reads: 0,
        before: &[],
    };
    let shapes = walk(&mut memory, &file[..page_bytes], (file.len() / page_bytes) as u32).unwrap();
    memory.close();
    let pages = file.len() / page_bytes;
    assert!(memory.reads <= 8 * pages + 16, "{} reads of {pages} pages", memory.reads);
    assert_eq!(memory.groups.concat(), memory.sequence);
    assert!(memory.groups.iter().all(|group| !group.is_empty() && group.len() <= GROUP_BYTES_MAX));
    (shapes, memory.sequence, memory.groups)
}

/// A state, its shapes and its groups.
type State = (Vec<u8>, Vec<u8>, Vec<Vec<u8>>);

/// Takes a file apart behind another state: what comes of it is the same as alone. Gives how many
/// pages were read.
fn comes_apart_behind(
    before: &State,
    file: &[u8],
    page_bytes: usize,
    is_there: &dyn Fn(usize) -> bool,
) -> usize {
    let (old, shapes, groups) = before;
    let shapes = Shapes::decode(shapes.clone(), page_bytes, old.len() / page_bytes).unwrap();
    let starts: Vec<u64> = std::iter::once(0)
        .chain(groups.iter().scan(0, |at, group| {
            *at += group.len() as u64;
            Some(*at)
        }))
        .collect();
    let page = |file: &[u8], number: u32| {
        file.chunks_exact(page_bytes).nth(number as usize - 1).map(<[u8]>::to_vec)
    };
    let is_same =
        |number: u32| page(old, number).is_some_and(|before| page(file, number) == Some(before));
    let known = Before { shapes: &shapes, starts: &starts, is_same: &is_same, is_there };
    let mut memory = Memory {
        file,
        page_bytes,
        sequence: Vec::new(),
        groups: Vec::new(),
        cutter: Cutter::default(),
        reads: 0,
        before: groups,
    };
    let encoded = walk_after(
        &mut memory,
        &file[..page_bytes],
        (file.len() / page_bytes) as u32,
        Some(&known),
    )
    .unwrap();
    memory.close();
    let alone = take_apart(file, page_bytes);
    assert!(encoded == alone.0, "other shapes");
    assert!(memory.groups == alone.2, "other groups");
    assert!(memory.sequence == alone.1, "another sequence");
    memory.reads
}

/// Takes a file apart and builds each page; gives the bytes of shapes and sequence, and the groups.
fn comes_back(file: &[u8], page_bytes: usize) -> (usize, Vec<Vec<u8>>) {
    let (encoded, sequence, groups) = take_apart(file, page_bytes);
    let bytes = encoded.len() + sequence.len();
    let shapes = Shapes::decode(encoded, page_bytes, file.len() / page_bytes).unwrap();
    assert_eq!(shapes.sequence_bytes(), sequence.len() as u64);
    let mut out = vec![0xaa; page_bytes];
    for (number, page) in file.chunks_exact(page_bytes).enumerate() {
        let plan = shapes.plan(number).unwrap();
        shapes
            .build(&plan, &Parts(&sequence, &plan.ranges), &mut out)
            .unwrap_or_else(|| panic!("page {}", number + 1));
        assert!(out == page, "page {} differs", number + 1);
    }
    (bytes, groups)
}

#[derive(Clone, Debug)]
enum Step {
    Insert { rows: u16, bytes: u16, noise: u32 },
    Blob(u32),
    Delete { every: u8, from: u8 },
    Update { every: u8, bytes: u16 },
    Vacuum,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..400u16, 0..600u16, any::<u32>()).prop_map(|(rows, bytes, noise)| Step::Insert { rows, bytes, noise }),
        1 => (0..300_000u32).prop_map(Step::Blob),
        3 => (1..9u8, any::<u8>()).prop_map(|(every, from)| Step::Delete { every, from }),
        2 => (1..9u8, 0..2000u16).prop_map(|(every, bytes)| Step::Update { every, bytes }),
        2 => Just(Step::Vacuum),
    ]
}

/// Makes a database step by step; `each` sees its file after every one.
fn live_through(
    page_bytes: usize,
    auto_vacuum: u8,
    utf16: bool,
    steps: &[Step],
    mut each: impl FnMut(&Step, &[u8]),
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    let encoding = if utf16 { "UTF-16le" } else { "UTF-8" };
    db.execute_batch(&format!(
        "PRAGMA page_size={page_bytes}; PRAGMA auto_vacuum={auto_vacuum}; PRAGMA encoding='{encoding}'; PRAGMA synchronous=OFF;
        CREATE TABLE a (id TEXT PRIMARY KEY, n INTEGER, t TEXT);
        CREATE INDEX a_n ON a (n DESC, t); CREATE UNIQUE INDEX a_part ON a (n, id) WHERE n % 3 = 0; CREATE INDEX a_expr ON a (lower(t) || n);
        CREATE TABLE b (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k, v)) WITHOUT ROWID;
        CREATE TABLE c (id INTEGER PRIMARY KEY, body BLOB);",
    ))
    .unwrap();
    let mut next = 0i64;
    for step in steps {
        match step {
            Step::Insert { rows, bytes, noise } => {
                db.execute_batch("BEGIN").unwrap();
                for row in 0..i64::from(*rows) {
                    next += 1;
                    let key = format!("{:x}", next.wrapping_mul(0x9e37_79b9_7f4a_7c15u64 as i64) ^ i64::from(*noise));
                    let text = "lorem ipsum dolor ".repeat(usize::from(*bytes) / 18 + row as usize % 3);
                    db.execute("INSERT OR REPLACE INTO a VALUES (?1, ?2, ?3)", (&key, next % 97, &text[..text.len().min(usize::from(*bytes))])).unwrap();
                    db.execute("INSERT OR REPLACE INTO b VALUES (?1, ?2)", (&key, &text)).unwrap();
                }
                db.execute_batch("COMMIT").unwrap();
            }
            Step::Blob(bytes) => db.execute("INSERT INTO c (body) VALUES (randomblob(?1))", [bytes]).map(drop).unwrap(),
            Step::Delete { every, from } => db
                .execute_batch(&format!(
                    "DELETE FROM a WHERE rowid % {every} = {0} % {every}; DELETE FROM b WHERE length(v) % {every} = 0; DELETE FROM c WHERE id % {every} = 1",
                    from
                ))
                .unwrap(),
            Step::Update { every, bytes } => {
                db.execute("UPDATE a SET t = substr(hex(zeroblob(?2)), 1, ?2) WHERE rowid % ?1 = 0", (every, bytes)).map(drop).unwrap()
            }
            Step::Vacuum => db.execute_batch("VACUUM").unwrap(),
        }
        each(step, &std::fs::read(&path).unwrap());
    }
}

fn cases() -> u32 {
    std::env::var("JELLYVAULT_CELL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_state_of_a_database_comes_back_page_by_page(
        log2 in 9..=16u32,
        auto_vacuum in 0..3u8,
        utf16: bool,
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let page_bytes = 1usize << log2;
        live_through(page_bytes, auto_vacuum, utf16, &steps, |_, file| {
            let (bytes, _) = comes_back(file, page_bytes);
            assert!(bytes <= file.len() + file.len() / 10 + 4096, "{bytes} for {}", file.len());
        });
    }

    #[test]
    fn behind_another_state_a_database_comes_apart_as_alone(
        log2 in 9..=13u32,
        auto_vacuum in 0..3u8,
        steps in proptest::collection::vec(step(), 1..10),
        flips in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..6),
        missing in 1..9usize,
    ) {
        let page_bytes = 1usize << log2;
        let is_there = |group: usize| missing > 6 || group % 7 != missing;
        let mut states: Vec<State> = Vec::new();
        live_through(page_bytes, auto_vacuum, false, &steps, |_, file| {
            let (shapes, _, groups) = take_apart(file, page_bytes);
            let own = (file.to_vec(), shapes, groups);
            // Behind the last state, the first, and itself.
            for before in states.last().into_iter().chain(states.first()).chain([&own]) {
                comes_apart_behind(before, file, page_bytes, &is_there);
            }
            // Damage since, and damage that was.
            let mut damaged = file.to_vec();
            for (number, (at, byte)) in flips.iter().enumerate() {
                let at = *at as usize % damaged.len();
                damaged[if number % 2 == 0 { at } else { at / page_bytes * page_bytes + at % 16 }] = *byte;
            }
            comes_apart_behind(&own, &damaged, page_bytes, &is_there);
            let (shapes, _, groups) = take_apart(&damaged, page_bytes);
            comes_apart_behind(&(damaged, shapes, groups), file, page_bytes, &is_there);
            states.push(own);
        });
    }

    #[test]
    fn a_vacuum_changes_no_group(log2 in 10..=14u32, auto_vacuum in 0..3u8, steps in proptest::collection::vec(step(), 1..8)) {
        let page_bytes = 1usize << log2;
        let mut before: Option<std::collections::HashSet<Vec<u8>>> = None;
        let steps: Vec<Step> = steps.into_iter().flat_map(|step| [step, Step::Vacuum]).collect();
        live_through(page_bytes, auto_vacuum, false, &steps, |step, file| {
            let (_, groups) = comes_back(file, page_bytes);
            let groups: std::collections::HashSet<Vec<u8>> = groups.into_iter().collect();
            if let (Step::Vacuum, Some(before)) = (step, &before) {
                let new: usize = groups.difference(before).map(Vec::len).sum();
                // The schema's rows name the trees' first pages; pointer maps are pages.
                let maps = if auto_vacuum > 0 { file.len() / 100 + 2 * page_bytes } else { 0 };
                // SQLite gives a page up where a tree that it fills loses its last level.
                let free = u32::from_be_bytes(file[36..40].try_into().unwrap()) as usize;
                assert!(free <= 2, "{free} pages are free after a VACUUM");
                assert!(new <= 2048 + maps + free * page_bytes, "{new} new bytes");
            }
            before = Some(groups);
        });
    }

    #[test]
    fn a_damaged_database_comes_back_damaged(
        log2 in 9..=13u32,
        steps in proptest::collection::vec(step(), 1..5),
        flips in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..40),
        swaps in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..6),
    ) {
        let page_bytes = 1usize << log2;
        let mut last = Vec::new();
        live_through(page_bytes, 0, false, &steps, |_, file| last = file.to_vec());
        let pages = last.len() / page_bytes;
        for (a, b) in swaps {
            let (a, b) = (a as usize % pages * page_bytes, b as usize % pages * page_bytes);
            for at in 0..page_bytes {
                last.swap(a + at, b + at);
            }
        }
        // Half of them where headers, pointers and links are.
        for (number, (at, byte)) in flips.iter().enumerate() {
            let at = *at as usize % last.len();
            let at = if number % 2 == 0 { at } else { at / page_bytes * page_bytes + at % 16 };
            last[at] = *byte;
        }
        comes_back(&last, page_bytes);
    }

    #[test]
    fn hostile_shapes_are_refused_or_build_something(
        mut encoded in proptest::collection::vec(any::<u8>(), 0..300),
        pages in 0..50usize,
    ) {
        encoded.insert(0, 0);
        encoded.push(0xfe);
        if let Ok(shapes) = Shapes::decode(encoded, 512, pages) {
            let sequence = vec![3; 1 << 16];
            let mut out = vec![0; 512];
            for page in 0..pages {
                if let Some(plan) = shapes.plan(page) {
                    shapes.build(&plan, &Parts(&sequence, &plan.ranges), &mut out);
                }
            }
        }
    }
}

#[test]
fn of_a_database_that_is_the_same_hardly_a_page_is_read() {
    let steps = [
        Step::Insert { rows: 399, bytes: 90, noise: 1 },
        Step::Insert { rows: 399, bytes: 60, noise: 2 },
        Step::Vacuum,
    ];
    let mut last = Vec::new();
    live_through(1024, 0, false, &steps, |_, file| last = file.to_vec());
    let (shapes, _, groups) = take_apart(&last, 1024);
    let pages = last.len() / 1024;
    let reads = comes_apart_behind(&(last.clone(), shapes, groups), &last, 1024, &|_| true);
    assert!(pages > 200 && reads < pages / 5, "{reads} reads of {pages} pages");
}

#[test]
fn every_byte_of_a_small_database_may_be_wrong() {
    let steps = [
        Step::Insert { rows: 20, bytes: 40, noise: 1 },
        Step::Blob(1500),
        Step::Delete { every: 3, from: 1 },
    ];
    let mut file = Vec::new();
    live_through(512, 0, false, &steps, |_, last| file = last.to_vec());
    for at in 0..file.len() {
        let kept = file[at];
        for byte in [kept ^ 1, kept ^ 0x80, 0, 0xff] {
            file[at] = byte;
            comes_back(&file, 512);
        }
        file[at] = kept;
    }
}

#[test]
fn what_is_no_database_comes_back_too() {
    for file in
        [vec![0; 512 * 3], vec![0xff; 1024], vec![5; 512 * 70], vec![13; 4096], vec![2; 65_536 * 3]]
    {
        let page_bytes = if file.len() > 65_536 { 65_536 } else { 512 };
        comes_back(&file, page_bytes);
    }
}

/// A page of 512 bytes with cells from its end downwards.
fn page_of(kind: u8, cells: &[Vec<u8>], rightmost: Option<u32>, header: usize) -> Vec<u8> {
    let mut page = vec![0; 512];
    let (mut end, mut pointers) = (512, Vec::new());
    for cell in cells {
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(cell);
        pointers.extend_from_slice(&(end as u16).to_be_bytes());
    }
    let mut head = vec![kind, 0, 0];
    head.extend_from_slice(&(cells.len() as u16).to_be_bytes());
    head.extend_from_slice(&(end as u16).to_be_bytes());
    head.push(0);
    head.extend(rightmost.into_iter().flat_map(u32::to_be_bytes));
    head.extend_from_slice(&pointers);
    page[header..header + head.len()].copy_from_slice(&head);
    page
}

#[test]
fn what_leads_to_the_same_pages_again_and_again_is_read_a_few_times() {
    // Ten cells a leaf, each with 97,009 bytes, of which 39 are in the page and the rest begins in
    // page 300; that chain ends too early.
    let cell = [&[0x85, 0xf5, 0x71, 1], [7; 39].as_slice(), &300u32.to_be_bytes()].concat();
    let mut chains = vec![vec![0; 512]];
    chains.extend((2..300).map(|_| page_of(13, &vec![cell.clone(); 10], None, 0)));
    chains.extend((300..400u32).map(|page| {
        [&if page < 399 { page + 1 } else { 0 }.to_be_bytes(), [9; 508].as_slice()].concat()
    }));
    comes_back(&chains.concat(), 512);
    // Inner pages that name one page many times which is none of a tree.
    let child = [&400u32.to_be_bytes(), [1].as_slice()].concat();
    let root: Vec<Vec<u8>> =
        (2..41u32).map(|page| [&page.to_be_bytes(), [1].as_slice()].concat()).collect();
    let mut children = vec![page_of(5, &root, Some(41), 100)];
    children.extend((2..400).map(|_| page_of(5, &vec![child.clone(); 70], Some(400), 0)));
    children.push(vec![0xee; 512]);
    comes_back(&children.concat(), 512);
}
