//! The walk through the source: what the scan finds becomes batches, workers take them, what comes back is collected in order.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use crate::limits::REMARKS_MAX;
use crate::manifest::display;
use crate::progress::Problem;
use crate::source::{Event, Rules, ScanError, ScanRoot, scan};

use super::super::Error;
use super::collect::{Collector, Pending};
use super::database::Databases;
use super::job::{self, Plan, Shared, Worker, kept};
use super::plan::{Batch, Planner};
use super::worth;

/// Parts of a batch that may wait until it is its turn: those of a usual batch, some 1 MiB, so that no worker waits for another; a batch
/// with a large file waits when these are full.
const PARTS_MAX: usize = 12;

/// Walks the source; batches go to the workers, what comes back is collected in order.
#[expect(clippy::too_many_arguments, reason = "each is one part of the capture that is under way")]
pub(super) fn walk<'a>(
    shared: &Shared<'a>,
    roots: &[ScanRoot],
    rules: &Rules,
    threads: usize,
    planner: &mut Planner<'_>,
    databases: &mut Databases<'a>,
    collector: &mut Collector<'a>,
    remarks: &mut Vec<String>,
) -> Result<(), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|_| Error::System { what: "threads" })?;
    let workers: Mutex<Vec<Worker<'a>>> = Mutex::default();
    let hashing = shared.repository.hashing();
    pool.in_place_scope_fifo(|scope| {
        let mut hand_out = |collector: &mut Collector<'a>, (category, mut plans): Batch| {
            if plans.iter().all(|plan| matches!(plan, Plan::Keep { .. })) {
                let leaves = plans.into_iter().filter_map(|plan| match plan {
                    Plan::Keep { run, items } => {
                        shared.progress.advance(run.files, run.bytes);
                        Some(kept(run, &items))
                    }
                    Plan::Build { .. } => None,
                });
                return collector.push(Pending::Done(category, leaves.collect()));
            }
            databases.take_out(shared, category, &mut plans, collector)?;
            let (out, parts) = sync_channel(PARTS_MAX);
            let workers = &workers;
            scope.spawn_fifo(move |_| {
                let idle = workers.lock().ok().and_then(|mut workers| workers.pop());
                match idle.map_or_else(|| Worker::new(shared), Ok) {
                    Ok(mut worker) => {
                        worker.run(shared, plans, &out);
                        if let Ok(mut workers) = workers.lock() {
                            workers.push(worker);
                        }
                    }
                    Err(error) => crate::tolerate(out.send(job::Part::Failed(error))),
                }
            });
            collector.push(Pending::Job(category, parts))
        };
        let walked = scan(roots, rules, &hashing, threads, shared.interrupt, |event| {
            match event {
                Event::Found(found) => {
                    note_symlinked_folder(shared, &found, collector);
                    if rules.is_instance
                        && found.stat.is_file()
                        && let Some(problem) = worth::of_settings(found.path, found.stat.size)
                    {
                        shared.progress.problem(&problem);
                        collector.problem(problem);
                    }
                    if let Some(batch) = planner.take(&found) {
                        hand_out(collector, batch)?;
                    }
                }
                Event::Elsewhere { path } => collector.elsewhere(path),
                Event::Skipped { .. } if remarks.len() >= REMARKS_MAX => {}
                Event::Skipped { path, what } => remarks.push(format!("{} was left out: {what}", display(path))),
                Event::Failed { path, verb, error } => {
                    let problem = Problem { path: display(path), what: format!("cannot {verb} ({}); what is there is not in this snapshot", job::word(error)) };
                    shared.progress.problem(&problem);
                    collector.problem(problem);
                }
            }
            Ok(())
        });
        let outcome = match walked {
            Ok(()) => planner.finish().into_iter().try_for_each(|batch| hand_out(collector, batch)).and_then(|()| collector.drain()),
            Err(ScanError::Interrupted) => Err(Error::Interrupted),
            Err(ScanError::Root { path, error }) => Err(Error::Source { path, source: error }),
            Err(ScanError::Consumer(error)) => Err(error),
        };
        if outcome.is_err() {
            // Workers that wait for a listener must not hold the scope open.
            collector.abandon();
        }
        outcome
    })
}

/// A well-known folder that is a link elsewhere: its content is not captured, and that must be said.
fn note_symlinked_folder(shared: &Shared<'_>, found: &crate::source::Found<'_>, collector: &mut Collector<'_>) {
    if !found.stat.is_symlink() {
        return;
    }
    let depth = found.path.split(|b| *b == b'/').count();
    let known = [b"data/".as_slice(), b"metadata/", b"metadata-default/", b"root/", b"plugins/", b"config/"].iter().any(|root| found.path.starts_with(root));
    if depth != 2 || !known {
        return;
    }
    let Some((root, _)) = shared.roots.get(found.root) else { return };
    let path = crate::source::os_path(&root.dir, found.below);
    if path.is_dir() {
        let target = std::fs::read_link(&path).unwrap_or_default();
        let what = format!(
            "it is a symbolic link to the directory {}, whose content is not in this snapshot; capture that directory too (snapshot --plain)",
            target.display()
        );
        let problem = Problem { path: display(found.path), what };
        shared.progress.problem(&problem);
        collector.problem(problem);
    }
}
