//! The walk through the source: what the scan finds becomes batches, workers take them, what comes back is collected in order.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use crate::limits::{REMARKS_BYTES_MAX, REMARKS_MAX};
use crate::manifest::display;
use crate::progress::Problem;
use crate::source::{Category, Event, Layout, Linked, PASSING, Rules, ScanError, ScanRoot, linked_folders, scan};

use super::super::Error;
use super::collect::{Collector, Pending};
use super::database::{Databases, NAME_IT};
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
        let (mut remark_bytes, mut unnamed) = (0, 0u64);
        let walked = scan(roots, rules, &hashing, threads, shared.interrupt, |event| {
            match event {
                Event::Found(found) => {
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
                // A marker that went astray must not empty a part of the server without a word.
                Event::Skipped { path, what: PASSING } if rules.is_instance && rules.category(path) != Category::Other => {
                    let what = "it has a marker of a cache, a log or a transcoding folder in it, and was left out; the server keeps none there. Remove the marker (.jellyfin-…)";
                    let problem = Problem { path: display(path), what: what.to_owned() };
                    shared.progress.problem(&problem);
                    collector.problem(problem);
                }
                Event::Skipped { path, what } => {
                    let remark = format!("{} was left out: {what}", display(path));
                    remark_bytes += remark.len();
                    if remarks.len() < REMARKS_MAX && remark_bytes <= REMARKS_BYTES_MAX {
                        remarks.push(remark);
                    } else {
                        unnamed += 1;
                    }
                }
                Event::Failed { path, verb, error } => {
                    let problem = Problem { path: display(path), what: format!("cannot {verb} ({}); what is there is not in this snapshot", job::word(error)) };
                    shared.progress.problem(&problem);
                    collector.problem(problem);
                }
            }
            Ok(())
        });
        if unnamed > 0 {
            remarks.push(format!("{unnamed} more of this kind were left out"));
        }
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

/// Folders that are links elsewhere: what they lead to is not captured, and that must be said.
pub(super) fn unfollowed(layout: &Layout, rules: &Rules) -> Vec<Problem> {
    let linked = linked_folders(layout).into_iter().filter(|linked| !rules.leaves_out_linked(&linked.logical));
    linked.map(|linked| Problem { path: display(&linked.logical), what: not_followed(&linked) }).collect()
}

/// Roots that could be traps: what is there is not captured, and that must be said.
pub(super) fn refused(layout: &Layout, rules: &Rules) -> Vec<Problem> {
    let wanted = layout.refused.iter().filter(|(root, _)| !rules.leaves_out_linked(&root.logical));
    wanted.map(|(root, why)| Problem { path: display(&root.logical), what: format!("{why}; what is there is not in this snapshot. {NAME_IT}") }).collect()
}

fn not_followed(linked: &Linked) -> String {
    format!("it is a symbolic link to the directory {}, whose content is not in this snapshot; --follow-roots captures it too", linked.dir.display())
}
