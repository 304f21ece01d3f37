//! No file imports another that imports it, on whatever way round: each can be read after those
//! that it builds on.
//!
//! `mod.rs` and `lib.rs` name what a room has, for those outside: a name that they pass on counts
//! as imported from the file that has it, and what they import themselves does not count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A path of names: `["store", "index", "Index"]`.
type Names = Vec<String>;

/// The files of the crate, by the path of their module.
struct Crate {
    files: BTreeMap<Names, String>,
    /// Names that a module passes on, with where they come from.
    passed_on: BTreeMap<(Names, String), Names>,
}

/// The code of a file, without comments and without the tests in it.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(before: &[String], tree: &str, out: &mut Vec<Names>) {
    let tree = tree.trim();
    let names = |text: &str| {
        text.split("::")
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
    };
    let Some((head, body)) = tree.split_once('{') else {
        let tree = tree.split(" as ").next().unwrap();
        return out.push([before, &names(tree)].concat());
    };
    let before = [before, &names(head)].concat();
    let (mut depth, mut part) = (0, String::new());
    for c in body.trim_end().strip_suffix('}').unwrap().chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            expand(&before, &std::mem::take(&mut part), out);
        } else {
            part.push(c);
        }
    }
    if !part.trim().is_empty() {
        expand(&before, &part, out);
    }
}

/// What the `use` lines of a file name: (is it passed on, path); and the code without them.
fn uses(code: &str) -> (Vec<(bool, Names)>, String) {
    let (mut found, mut rest, mut lines) = (Vec::new(), String::new(), code.lines());
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let is_public = trimmed.starts_with("pub");
        let tree = if is_public {
            trimmed
                .split_once(" use ")
                .filter(|(before, _)| !before.contains(' '))
                .map(|(_, tree)| tree)
        } else {
            trimmed.strip_prefix("use ")
        };
        let Some(tree) = tree else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap());
        }
        let mut paths = Vec::new();
        expand(&[], tree.split(';').next().unwrap(), &mut paths);
        found.extend(paths.into_iter().map(|path| (is_public, path)));
    }
    (found, rest)
}

/// Paths in the code that begin with `crate` or `super`.
fn inline(code: &str) -> Vec<Names> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code
        .split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    words
        .map(|word| word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect())
        .collect()
}

impl Crate {
    fn load() -> Crate {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "rs"))
        {
            let below = entry.path().strip_prefix(&root).unwrap().with_extension("");
            let mut module: Names =
                below.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            if module.last().unwrap().ends_with("_tests") || module == ["main"] {
                continue;
            }
            module.retain(|name| name != "mod" && name != "lib");
            files.insert(module, std::fs::read_to_string(entry.path()).unwrap());
        }
        let mut whole = Crate { files, passed_on: BTreeMap::new() };
        for (module, text) in whole.files.clone() {
            for (_, path) in uses(&code(&text)).0.into_iter().filter(|(is_public, _)| *is_public) {
                let Some(path) = whole.absolute(&module, &path) else { continue };
                whole.passed_on.insert((module.clone(), path.last().unwrap().clone()), path);
            }
        }
        whole
    }

    /// A path from the root of the crate; nothing for what other crates have.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let (mut base, mut path) = (module.to_vec(), path.to_vec());
        match path[0].as_str() {
            "crate" => return Some(path.split_off(1)),
            "self" => drop(path.remove(0)),
            "super" => {
                while path.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    path.remove(0);
                }
            }
            _ if self.files.contains_key(&[module, &path[..1]].concat()) => {}
            _ => return None,
        }
        base.extend(path);
        Some(base)
    }

    /// The module whose file has what a path names.
    fn home(&self, path: &[String], steps: usize) -> Option<Names> {
        assert!(steps < 20, "{path:?} is passed on without end");
        let len = (0..=path.len()).rev().find(|len| self.files.contains_key(&path[..*len]))?;
        let module = path[..len].to_vec();
        let Some(name) = path.get(len) else { return Some(module) };
        match self.passed_on.get(&(module.clone(), name.clone())) {
            Some(from) if from.as_slice() != path => {
                self.home(&[from.as_slice(), &path[len + 1..]].concat(), steps + 1)
            }
            _ => Some(module),
        }
    }

    /// Whether other files stand below it: a `mod.rs`, or the root.
    fn is_table(&self, module: &[String]) -> bool {
        self.files.keys().any(|other| other.len() > module.len() && other.starts_with(module))
    }

    fn imports(&self) -> BTreeMap<Names, BTreeSet<Names>> {
        let mut imports: BTreeMap<Names, BTreeSet<Names>> = BTreeMap::new();
        for (module, text) in self.files.iter().filter(|(module, _)| !self.is_table(module)) {
            let (used, rest) = uses(&code(text));
            for path in used.into_iter().map(|(_, path)| path).chain(inline(&rest)) {
                let home = self.absolute(module, &path).and_then(|path| self.home(&path, 0));
                if let Some(home) = home.filter(|home| home != module && !self.is_table(home)) {
                    imports.entry(module.clone()).or_default().insert(home);
                }
            }
        }
        imports
    }
}

/// A way from a file back to itself, if there is one.
fn circle(imports: &BTreeMap<Names, BTreeSet<Names>>) -> Option<Vec<Names>> {
    let mut done = BTreeSet::new();
    fn visit(
        at: &Names,
        imports: &BTreeMap<Names, BTreeSet<Names>>,
        way: &mut Vec<Names>,
        done: &mut BTreeSet<Names>,
    ) -> bool {
        if let Some(first) = way.iter().position(|passed| passed == at) {
            way.drain(..first);
            return true;
        }
        if !done.contains(at) {
            way.push(at.clone());
            if imports.get(at).into_iter().flatten().any(|next| visit(next, imports, way, done)) {
                return true;
            }
            way.pop();
            done.insert(at.clone());
        }
        false
    }
    imports.keys().find_map(|module| {
        let mut way = Vec::new();
        visit(module, imports, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_files_import_each_other() {
    let imports = Crate::load().imports();
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(
        imports.len() > 200 && count > 800,
        "only {count} imports of {} files were seen: the check sees nothing",
        imports.len()
    );
    assert_eq!(circle(&imports), None);
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec!["room".to_owned(), name.to_owned()];
    let mut imports = BTreeMap::from([
        (module("a"), BTreeSet::from([module("b")])),
        (module("b"), BTreeSet::from([module("c")])),
    ]);
    assert_eq!(circle(&imports), None);
    imports.insert(module("c"), BTreeSet::from([module("b")]));
    assert_eq!(circle(&imports), Some(vec![module("b"), module("c")]));
}
