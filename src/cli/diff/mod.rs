//! `diff`.

mod document;
mod naming;
mod patch;
mod rows;
mod sides;
mod tree;
mod words;

use std::cell::Cell;
use std::sync::Arc;

use crate::manifest::{Catalog, display, typed_path};
use crate::ops::{
    self, Diff, DiffOptions, Namer, Recipes, RowsOptions, RowsReport, State, ToldRow, WantedPaths,
    item_in,
};
use crate::store::{Index, Repository};

use super::Exit;
use super::args::DiffArgs;
use super::context::Context;
use super::failure::Failure;
use super::render;
use super::snapshot::wanted;

use self::naming::Items;
use self::sides::Side;

/// Where servers before 10.11 keep their library.
const LIBRARY_PATH: &[u8] = b"data/library.db";
/// Names that are told of a list without `--verbose`, and with it.
const NAMED: (usize, usize) = (10, 1000);

/// All that a comparison needs.
struct Comparison<'c> {
    context: &'c Context,
    args: &'c DiffArgs,
    repository: &'c Repository,
    index: &'c Index,
    before: Side<'c>,
    after: Side<'c>,
    diff: Diff,
    /// Recipes of databases that were read already.
    recipes: Arc<Recipes>,
    /// The database whose rows are wanted.
    path: Vec<u8>,
    /// It on both sides, where its rows are wanted.
    states: Option<(State<'c>, State<'c>)>,
    /// The library of a server before 10.11, which is a database of its own.
    library: Option<(State<'c>, State<'c>)>,
    /// What names the paths, opened in advance.
    namer: Cell<Option<Result<Option<Namer<'c>>, Failure>>>,
}

pub fn run(context: &Context, args: &DiffArgs) -> Result<Exit, Failure> {
    let only = wanted(&args.only, &[])?;
    let paths = WantedPaths::new(&args.path)?;
    let repository = context.open()?;
    let catalog = catalog_of(context, &repository, args)?;
    let (before, after) = sides::sides(context, &repository, &catalog, args)?;
    let index = repository.index().map_err(ops::Error::from)?;
    // An item that is named stands alone: its rows, and the files of its own folders.
    let paths = if args.item.is_empty() || !args.path.is_empty() {
        paths
    } else {
        folders_of(args, &repository, &index, [&before, &after])?
    };
    let (own, other) = (before.tree()?, after.tree()?);
    let is_silent = context.global.quiet && !context.global.json;
    let will_name = !(args.stat || args.wants_rows() || is_silent || own.has_the_same(&other));
    // Items are named by the databases while the trees are compared.
    let (mut items, found) = Items::new();
    let options = DiffOptions { only, paths, recipes: Arc::default() };
    let (diff, namer) = std::thread::scope(|scope| {
        let namer = will_name.then(|| {
            scope.spawn(|| {
                naming::open_and_look_up(
                    [&after, &before],
                    (&repository, &index, &options.recipes),
                    found,
                )
            })
        });
        let tell = move |path: &[u8]| {
            if let (true, Some(item)) = (will_name, item_in(path)) {
                items.add(item);
            }
        };
        let diff = ops::diff(&repository, &index, (&own, &other), &options, &context.monitor, tell);
        (
            diff,
            namer
                .map(|namer| namer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
        )
    });
    let mut diff = diff?;
    diff.remarks.extend(before.partial_against(&after));
    let path = args.database.as_deref().map_or_else(|| ops::main_database().to_vec(), typed_path);
    let mut comparison = Comparison {
        context,
        args,
        repository: &repository,
        index: &index,
        before,
        after,
        diff,
        recipes: options.recipes,
        path,
        states: None,
        library: None,
        namer: Cell::new(namer),
    };
    if args.wants_rows() {
        comparison.open()?;
    }
    super::bar::clear();
    let changed = if context.global.json {
        document::print(&comparison)?
    } else {
        words::print(&comparison)?
    };
    let problems = comparison.after.problems();
    if problems > 0 {
        context.say(&format!(
            "Problem: there is something wrong with {} of the live source. Run jellyvault snapshot --dry-run to see what.",
            render::plural(problems, "path", "paths")
        ));
        return Ok(Exit::Problems);
    }
    Ok(if args.exit_code && changed { Exit::Failed } else { Exit::Done })
}

/// The snapshots that can be meant: without a name the newest whole one is looked for among all.
fn catalog_of(
    context: &Context,
    repository: &Repository,
    args: &DiffArgs,
) -> Result<Catalog, Failure> {
    match &args.before {
        Some(before) if args.source.data_dir.is_none() => {
            let after = args.after.as_deref();
            let names: Vec<&str> = std::iter::once(before.as_str()).chain(after).collect();
            context.catalog_named(repository, &names)
        }
        _ => context.catalog(repository),
    }
}

/// The folders of the items that are named, by the snapshots among the two sides.
fn folders_of(
    args: &DiffArgs,
    repository: &Repository,
    index: &Index,
    sides: [&Side<'_>; 2],
) -> Result<WantedPaths, Failure> {
    let mut folders = Vec::new();
    let mut unknown: Vec<&String> = args.item.iter().collect();
    for side in sides {
        let Side::Snapshot(snapshot) = side else { continue };
        for item in &args.item {
            let found = ops::called_so(repository, index, snapshot, item)?;
            unknown.retain(|known| *known != item || found.is_empty());
            folders.extend(found.into_iter().flat_map(|titled| titled.paths));
        }
    }
    // What exists only in the live source is not looked up here.
    let has_live = sides.iter().any(|side| !matches!(side, Side::Snapshot(_)));
    match unknown.first().filter(|_| !has_live) {
        Some(item) => Err(Failure::not_found(
            &format!("nothing is called {item} in these snapshots"),
            "Run jellyvault find with a part of the title.",
        )),
        None => Ok(WantedPaths::of_folders(folders)),
    }
}

impl DiffArgs {
    fn wants_rows(&self) -> bool {
        self.rows || self.wants_single_rows() || self.database.is_some()
    }

    /// Whether tables are named, and the library has each of them, but not the main database.
    fn has_only_tables_of(
        &self,
        library: &(State<'_>, State<'_>),
        main: &(State<'_>, State<'_>),
    ) -> Result<bool, Failure> {
        let has = |states: &(State<'_>, State<'_>), table: &str| {
            Ok::<_, Failure>(states.0.has_table(table)? || states.1.has_table(table)?)
        };
        for table in &self.table {
            if has(main, table)? || !has(library, table)? {
                return Ok(false);
            }
        }
        Ok(!self.table.is_empty())
    }

    /// Whether rows are wanted one by one.
    fn wants_single_rows(&self) -> bool {
        !(self.table.is_empty() && self.user.is_empty() && self.item.is_empty())
    }
}

impl<'c> Comparison<'c> {
    /// Opens the database, and the library beside it. Tables that only the library has are looked
    /// for there.
    fn open(&mut self) -> Result<(), Failure> {
        let states = self.open_databases()?;
        let library = self.open_library()?;
        let is_single = self.args.wants_single_rows();
        match library {
            Some(library) if is_single && self.args.has_only_tables_of(&library, &states)? => {
                self.path = LIBRARY_PATH.to_vec();
                self.states = Some(library);
            }
            library => {
                self.states = Some(states);
                self.library = library.filter(|_| !is_single);
            }
        }
        Ok(())
    }

    fn open_databases(&self) -> Result<(State<'c>, State<'c>), Failure> {
        let path = &self.path;
        let open = |side: &Side<'_>| -> Result<State<'c>, Failure> {
            self.database(side, path)?.ok_or_else(|| {
                Failure::from(ops::Error::Refused {
                    what: format!("{} has no database {}", side.name(self.context), display(path)),
                    hint: "The snapshot may have been taken without the category database: run jellyvault show SNAPSHOT to see. To compare another database: --database PATH.".to_owned(),
                })
            })
        };
        Ok((open(&self.before)?, open(&self.after)?))
    }

    /// The library where both sides keep it in `library.db`, and no other database was named.
    fn open_library(&self) -> Result<Option<(State<'c>, State<'c>)>, Failure> {
        if self.args.database.is_some() {
            return Ok(None);
        }
        let open = |side| self.database(side, LIBRARY_PATH);
        Ok(open(&self.before)?.zip(open(&self.after)?))
    }

    fn database(&self, side: &Side<'_>, path: &[u8]) -> Result<Option<State<'c>>, Failure> {
        let interrupt = &self.context.monitor.interrupt;
        let state = side.database(self.repository, self.index, path, interrupt)?;
        Ok(state.map(|state| state.sharing(&self.recipes)))
    }

    /// What differs in it, by table.
    fn library_rows(&self) -> Result<Option<RowsReport>, Failure> {
        let Some((before, after)) = &self.library else { return Ok(None) };
        Ok(Some(ops::diff_rows(
            before,
            after,
            &[],
            &RowsOptions::default(),
            &self.context.monitor,
            |_| Ok(()),
        )?))
    }

    /// Settings of XML files that are not the same: (file, setting).
    fn settings(&self, upgraded: bool) -> Result<Vec<(String, ops::Setting)>, Failure> {
        let (mut before, mut after) = (
            self.before.contents(self.repository, self.index),
            self.after.contents(self.repository, self.index),
        );
        Ok(ops::changed_settings(
            &self.diff,
            (&mut before, &mut after),
            (upgraded, self.args.show_secrets),
        )?)
    }

    /// Which values of the rows may be shown.
    fn shows(&self) -> rows::Shows {
        rows::Shows::of(&self.path, self.args.show_secrets)
    }

    /// Compares the rows; `each` is told those that are wanted.
    fn rows(
        &self,
        single: bool,
        each: impl FnMut(&ToldRow<'_>) -> Result<(), ops::Error>,
    ) -> Result<Option<RowsReport>, Failure> {
        let Some((before, after)) = &self.states else { return Ok(None) };
        let args = self.args;
        let named =
            if self.context.global.verbose || self.context.global.json { NAMED.1 } else { NAMED.0 };
        let options = RowsOptions {
            tables: args.table.clone(),
            users: args.user.clone(),
            items: args.item.clone(),
            named,
            single,
        };
        Ok(Some(ops::diff_rows(
            before,
            after,
            &ops::changed_pictures(&self.diff)?,
            &options,
            &self.context.monitor,
            each,
        )?))
    }
}
