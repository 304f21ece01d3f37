//! `list`.

use serde_json::{Value, json};

use crate::manifest::Chain;

use super::context::Context;
use super::failure::Failure;
use super::{Exit, json as to_json, render};

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let kept = Chain::kept(&repository).map_err(crate::ops::Error::from)?;
    let exit = if catalog.damaged.is_empty() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        let mut snapshots: Vec<Value> = catalog.snapshots.iter().map(|(id, record)| to_json::snapshot(Some(id), record)).collect();
        for (row, (id, _)) in snapshots.iter_mut().zip(&catalog.snapshots) {
            if let Some(map) = row.as_object_mut() {
                map.insert("keep".to_owned(), json!(kept.contains(id)));
            }
        }
        let damaged: Vec<Value> = catalog.damaged.iter().map(|(name, error)| json!({"path": name, "what": error.to_string()})).collect();
        to_json::print(&json!({"snapshots": snapshots, "problems": damaged}));
        return Ok(exit);
    }
    if catalog.snapshots.is_empty() {
        render::print("No snapshot yet. Take one: jellyvault snapshot\n")?;
        return Ok(exit);
    }
    let mut rows = vec![["ID", "TIME", "SERVER", "FILES", "SIZE", "ADDED", "PROBLEMS", "LABEL"].map(str::to_owned).to_vec()];
    for (id, record) in &catalog.snapshots {
        rows.push(vec![
            render::short(id),
            render::time(record.time_ns, &context.zone),
            record.server.version.as_ref().map_or_else(|| "–".to_owned(), |v| format!("{}{}", v.value, if v.exact { "" } else { "+" })),
            render::count(record.files.total),
            render::size(record.bytes.source),
            render::size(record.bytes.new_stored),
            if record.problem_count == 0 { "–".to_owned() } else { render::count(record.problem_count) },
            // Most have none: an empty cell.
            [record.label.clone(), kept.contains(id).then(|| "(kept)".to_owned())].into_iter().flatten().collect::<Vec<_>>().join(" "),
        ]);
    }
    render::print(&render::table(&rows, &[3, 4, 5, 6]))?;
    Ok(exit)
}
