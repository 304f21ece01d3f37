//! Items whose ids hang on those of others.

use super::*;
use crate::ops::relocate::item_id::id_of_season as season_id;

const MOVIE: &str = "MediaBrowser.Controller.Entities.Movies.Movie";
const SERIES: &str = "MediaBrowser.Controller.Entities.TV.Series";
const VIDEO: &str = "MediaBrowser.Controller.Entities.Video";

/// A library of a server in /config, whose media moves from /media to /mnt.
struct Library {
    db: Connection,
    formula: Formula,
}

impl Library {
    fn new() -> Library {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE BaseItems (Id TEXT, Type TEXT, Path TEXT, SeriesId TEXT, IndexNumber INT, Name TEXT, IsFolder INT, DateModified TEXT, ParentId TEXT)",
        )
        .unwrap();
        let dir = |name: &str| format!("/config{name}");
        let formula = Formula {
            program_data: dir(""),
            data: dir("/data"),
            metadata: dir("/metadata"),
            case_sensitive: true,
            normalized_by_name: true,
        };
        Library { db, formula }
    }

    fn id(&self, kind: &str, path: &str) -> Guid {
        self.formula.id_of_path(kind, path, Spelling::Exact)
    }

    fn add(
        &self,
        id: &Guid,
        kind: &str,
        path: Option<&str>,
        series: Option<&Guid>,
        parent: Option<&Guid>,
    ) {
        let text = |id: &Guid| stored_guid(id);
        self.db
            .execute(
                "INSERT INTO BaseItems VALUES (?1, ?2, ?3, ?4, 1, 'Season 1', 0, NULL, ?5)",
                (text(id), kind, path, series.map(text), parent.map(text)),
            )
            .unwrap();
    }

    fn moved(&self) -> Items {
        let places = [
            ("programdata", "/config"),
            ("data", "/config/data"),
            ("metadata", "/config/metadata"),
        ];
        let places = places.map(|(name, dir)| (name.to_owned(), dir.to_owned())).into();
        let folders = ItemFolders::of(&places);
        let prefixes = Prefixes::new([("/media".to_owned(), "/mnt".to_owned())]);
        let formulas = Formulas {
            old: &self.formula,
            new: &self.formula,
            prefixes: &prefixes,
            by_name: &Prefixes::default(),
            folders: &folders,
            own: &places,
            looks_for_media: false,
        };
        look_at_items(&self.db, &formulas, &Interrupt::default()).unwrap()
    }
}

/// The path of a file in the folder of an item.
fn in_folder_of(id: &Guid, name: &str) -> String {
    let plain = stored_guid(id).replace('-', "").to_lowercase();
    format!("/config/metadata/library/{}/{plain}/{name}", &plain[..2])
}

#[test]
fn a_file_in_the_folder_of_a_file_in_the_folder_of_a_film_moves_with_the_film() {
    let library = Library::new();
    let [old, new] = ["/media/a.mkv", "/mnt/a.mkv"].map(|film| {
        let film = library.id(MOVIE, film);
        let inner = library.id(VIDEO, &in_folder_of(&film, "theme.mkv"));
        let innermost = library.id(VIDEO, &in_folder_of(&inner, "extra.mkv"));
        [film, inner, innermost]
    });
    library.add(&old[0], MOVIE, Some("/media/a.mkv"), None, None);
    library.add(&old[1], VIDEO, Some(&in_folder_of(&old[0], "theme.mkv")), None, None);
    library.add(&old[2], VIDEO, Some(&in_folder_of(&old[1], "extra.mkv")), None, None);
    let items = library.moved();
    assert_eq!(old.map(|id| items.ids.get(&id).copied()), new.map(Some));
    assert_eq!(items.unlike.count, 0, "{:?}", items.unlike);
}

#[test]
fn a_season_without_a_folder_and_without_the_id_of_its_series_moves_with_its_parent() {
    let library = Library::new();
    let [old, new] = ["/media/s", "/mnt/s"].map(|series| {
        let series = library.id(SERIES, series);
        [series, season_id(SEASON, &series, Some(1), "Season 1", Spelling::Exact)]
    });
    library.add(&old[0], SERIES, Some("/media/s"), None, None);
    library.add(&old[1], SEASON, None, None, Some(&old[0]));
    let items = library.moved();
    assert_eq!(old.map(|id| items.ids.get(&id).copied()), new.map(Some));
}
