//! What would be captured? Counts and sizes by category, from a walk that opens nothing.

use std::collections::BTreeMap;

use crate::manifest::display;
use crate::progress::{Phase, Problem};
use crate::source::{Category, Event, Rules, ScanError, Stat, scan};

use super::super::{Error, Monitor};
use super::SourceSpec;

/// Files and bytes by category, and what could not be looked at.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// (files, bytes) by category.
    pub categories: BTreeMap<&'static str, (u64, u64)>,
    /// Problems.
    pub problems: Vec<Problem>,
}

/// Walks a source.
pub fn survey(spec: &SourceSpec, threads: usize, monitor: &Monitor) -> Result<Survey, Error> {
    let rules = Rules {
        is_instance: spec.layout.is_instance,
        closed: spec.layout.closed(&[]),
        ..Rules::default()
    };
    let mut survey = Survey { problems: spec.problems.clone(), ..Survey::default() };
    let mut count = |category: Category, stat: &Stat| {
        let (files, bytes) = survey.categories.entry(category.name()).or_default();
        *files += 1;
        *bytes += stat.size;
    };
    if spec.layout.database.is_some()
        && let Some(stat) = spec
            .layout
            .live_file(crate::source::DATABASE_PATH)
            .ok()
            .and_then(|file| file.stat().ok())
    {
        count(Category::Database, &stat);
    }
    monitor.progress.phase(Phase::Capture, 0, 0);
    let mut problems = Vec::new();
    let walked = scan(
        &spec.layout.present(),
        &rules,
        &Default::default(),
        threads,
        &monitor.interrupt,
        |event| {
            match event {
                Event::Found(found) if found.stat.is_file() => {
                    let mut category = rules.category(found.path);
                    if rules.is_instance
                        && category.may_hold_sqlite()
                        && !found.path.starts_with(b"programdata/")
                    {
                        let is_database = spec.layout.open(found.path);
                        if is_database.is_some_and(|mut file| {
                            crate::source::is_database(&mut file).unwrap_or(false)
                        }) {
                            category = Category::Database;
                        }
                    }
                    count(category, found.stat);
                    monitor.progress.advance(1, found.stat.size);
                }
                Event::Failed { path, verb, error } => {
                    problems.push(Problem {
                        path: display(path),
                        what: format!("cannot {verb} ({})", std::io::Error::from(error)),
                    });
                }
                _ => {}
            }
            Ok::<_, Error>(())
        },
    );
    survey.problems.extend(problems);
    match walked {
        Ok(()) => Ok(survey),
        Err(ScanError::Interrupted) => Err(Error::Interrupted),
        Err(ScanError::Root { path, error }) => Err(Error::Source { path, source: error }),
        Err(ScanError::Consumer(error)) => Err(error),
    }
}
