//! The walk through the source: what the scan finds becomes batches, workers take them, what comes
//! back is collected in order.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use crate::limits::{PROBLEMS_NAMED_MAX, REMARKS_BYTES_MAX, REMARKS_MAX};
use crate::manifest::display;
use crate::progress::Problem;
use crate::source::{
    Category, DATABASE_PATH, Event, Layout, Linked, PASSING, Rules, ScanError, ScanRoot,
    linked_folders, scan,
};

use super::super::Error;
use super::super::ingest::collect::{Collector, Pending};
use super::super::ingest::item::Plan;
use super::super::ingest::job::{self, Shared, Worker, kept};
use super::super::ingest::met::word;
use super::captured::NAME_IT;
use super::database::Databases;
use super::plan::{Batch, Planner};
use super::worth;

/// Parts of a batch that may wait until it is its turn: those of a usual batch, some 1 MiB, so that
/// no worker waits for another; a batch with a large file waits when these are full.
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
    let threads = if threads == 0 {
        std::thread::available_parallelism().map_or(2, Into::into)
    } else {
        threads
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|_| Error::System { what: "threads" })?;
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
        let mut left_out = LeftOut { remarks, bytes: 0, unnamed: 0 };
        let walked = scan(roots, rules, &hashing, threads, shared.interrupt, |event| {
            if let Event::Found(found) = &event
                && let Some(batch) = planner.take(found)
            {
                hand_out(collector, batch)?;
            }
            tell(event, (rules, roots), shared, collector, &mut left_out);
            Ok(())
        });
        left_out.finish();
        let outcome = match walked {
            Ok(()) => planner
                .finish()
                .into_iter()
                .try_for_each(|batch| hand_out(collector, batch))
                .and_then(|()| collector.drain()),
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

/// Tells what the walk met that is not, or not quite, in the snapshot.
fn tell(
    event: Event<'_>,
    (rules, roots): (&Rules, &[ScanRoot]),
    shared: &Shared<'_>,
    collector: &mut Collector<'_>,
    left_out: &mut LeftOut<'_>,
) {
    let problem = match event {
        Event::Found(found) if rules.is_instance && found.stat.is_file() => worth::of_settings(found.path, found.stat.size),
        Event::Found(found) if rules.is_instance && found.stat.is_symlink() && found.path != DATABASE_PATH => {
            roots.get(found.root).and_then(|root| worth::of_link(found.path, found.below, root, roots))
        }
        Event::Found(found) if rules.is_instance && found.stat.is_dir() => {
            worth::of_directory(found.path)
        }
        Event::Found(_) => None,
        Event::Elsewhere { path } => {
            collector.elsewhere(path);
            None
        }
        // A marker that went astray must not empty a part of the server without a word.
        Event::Skipped { path, what: PASSING } if rules.is_instance && rules.category(path) != Category::Other => Some(Problem {
            path: display(path),
            what: "it contains a marker file of a cache, log or transcoding directory, so it is not in this snapshot. The server keeps no such directory \
                   there: remove the marker (.jellyfin-…)"
                .to_owned(),
        }),
        Event::Skipped { path, what } => {
            left_out.add(path, what);
            None
        }
        Event::Failed { path, verb, error } => {
            if collector.unlisted.len() < PROBLEMS_NAMED_MAX {
                collector.unlisted.push(path.to_vec());
            }
            Some(Problem { path: display(path), what: format!("cannot {verb} ({}), so its contents are not in this snapshot", word(error)) })
        }
    };
    if let Some(problem) = problem {
        shared.progress.problem(&problem);
        collector.problem(problem);
    }
}

/// Remarks on what was left out, as many as a record may hold.
struct LeftOut<'r> {
    remarks: &'r mut Vec<String>,
    bytes: usize,
    unnamed: u64,
}

impl LeftOut<'_> {
    fn add(&mut self, path: &[u8], what: &str) {
        let remark = format!("{} was left out: {what}", display(path));
        self.bytes += remark.len();
        if self.remarks.len() < REMARKS_MAX && self.bytes <= REMARKS_BYTES_MAX {
            self.remarks.push(remark);
        } else {
            self.unnamed += 1;
        }
    }

    fn finish(self) {
        if self.unnamed > 0 {
            self.remarks.push(format!("{} more of this kind were left out", self.unnamed));
        }
    }
}

/// Folders that are links elsewhere: what they lead to is not captured, and that must be said.
pub(super) fn unfollowed(layout: &Layout, rules: &Rules) -> Vec<Problem> {
    let linked = linked_folders(layout)
        .into_iter()
        .filter(|linked| !rules.leaves_out_linked(&linked.logical));
    linked
        .map(|linked| Problem { path: display(&linked.logical), what: not_followed(&linked) })
        .collect()
}

/// Roots that could be traps: what is there is not captured, and that must be said.
pub(super) fn refused(layout: &Layout, rules: &Rules) -> Vec<Problem> {
    let wanted = layout.refused.iter().filter(|(root, _)| !rules.leaves_out_linked(&root.logical));
    wanted
        .map(|(root, why)| Problem {
            path: display(&root.logical),
            what: format!("{why}, so it is not in this snapshot. {}", advice(root)),
        })
        .collect()
}

/// What to do about a root that is a link: only what works for this one.
fn advice(root: &ScanRoot) -> String {
    use std::os::unix::fs::MetadataExt;
    let (Ok(link), Ok(dir)) = (std::fs::symlink_metadata(&root.dir), std::fs::metadata(&root.dir))
    else {
        return NAME_IT.to_owned();
    };
    let Some(real) = std::fs::canonicalize(&root.dir).ok().filter(|_| link.is_symlink()) else {
        return NAME_IT.to_owned();
    };
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let option = match root.logical.as_slice() {
        b"metadata" => Some("--metadata-dir"),
        b"config" => Some("--config-dir"),
        _ => None,
    };
    let named = option.map(|option| format!("give it with {option} {}", quoted(&real)));
    // Of a link only what belongs to its owner is taken, even where links are followed.
    let followed = (link.uid() == dir.uid()).then(|| "follow links with --follow-roots".to_owned());
    let owned = format!("make root the owner of the link (chown -h root {})", quoted(&root.dir));
    // Who gives the link to root says where root reads: not for a link to what is another's.
    let owned = followed.is_some().then_some(owned);
    let ways: Vec<String> = named.into_iter().chain(followed).chain(owned).collect();
    if ways.is_empty() {
        return NAME_IT.to_owned();
    }
    format!("If the path is right, {}", ways.join("; or "))
}

fn not_followed(linked: &Linked) -> String {
    format!(
        "it is a symbolic link to the directory {}, whose contents are not in this snapshot. Add --follow-roots to capture them",
        linked.dir.display()
    )
}
