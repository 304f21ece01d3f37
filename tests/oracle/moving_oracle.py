#!/usr/bin/env python3
"""Test oracle for moving a Jellyfin server to other directories and media paths.

Written from the rules alone (moving.md), without a look at the program that it tests. Standard library only.

    apply   PLAN OLD_TREE NEW_TREE   write the moved copy of a logical tree
    compare PLAN EXPECTED ACTUAL     exit 1 and a list if two trees differ
    ids     TREE PLAN                how many item ids the formula gives
    facts   PLAN TREE OLD_TREE       invariants that hold between a tree and its moved copy

A logical tree has the top folders config, data, metadata, metadata-default, root, plugins and programdata.
"""

import argparse
import collections
import contextlib
import hashlib
import html
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# ---------------------------------------------------------------------------------------------- rules as tables

TOKENS = {"%AppDataPath%": "data", "%MetadataPath%": "metadata"}

ITEM_ID_ONLY = ("TrickplayInfos PeopleBaseItemMap ItemValuesMap BaseItemMetadataFields BaseItemTrailerTypes "
                "AttachmentStreamInfos BaseItemProviders MediaSegments KeyframeData ActivityLogs "
                "DisplayPreferences ItemDisplayPreferences BaseItemImageInfos Chapters MediaStreamInfos").split()

ID_COLUMNS = {
    "BaseItems": ["Id", "ParentId", "TopParentId", "PresentationUniqueKey", "SeriesPresentationUniqueKey", "SeasonId",
                  "SeriesId", "OwnerId", "PrimaryVersionId", "ShowId", "ExtraIds", "ChannelId"],
    "UserData": ["ItemId", "CustomDataKey"],
    "AncestorIds": ["ItemId", "ParentItemId"],
    "LinkedChildren": ["ParentId", "ChildId"],
    "CustomItemDisplayPreferences": ["ItemId", "Key", "Value"],
    "Preferences": ["Value"],
    **{table: ["ItemId"] for table in ITEM_ID_ONLY},
}
PATH_COLUMNS = {
    "BaseItems": ["Path"],
    "BaseItemImageInfos": ["Path"],
    "Chapters": ["ImagePath"],
    "MediaStreamInfos": ["Path"],
    "ImageInfos": ["Path"],
}
JSON_COLUMNS = {"BaseItems": ["Data"]}
COMPARED_AS_JSON = {"BaseItems": ["Data"], "KeyframeData": ["KeyframeTicks"]}

# Directories named after an item: top folder of the tree, folder in it, format of the id.
ID_FOLDERS = [("metadata", "library", "N"), ("data", "trickplay", "D"), ("data", "subtitles", "D"),
              ("data", "attachments", "D")]

XML_FILES = ["root/default/*/options.xml", "data/playlists/*/playlist.xml", "data/collections/*/collection.xml",
             "config/system.xml", "config/encoding.xml", "config/branding.xml", "config/livetv.xml"]
LINK_FILES = ["root/default/*/*.mblink"]

ENTITIES = "MediaBrowser.Controller.Entities."
BY_NAME = [ENTITIES + name for name in ("Person", "Genre", "Studio", "Year")]
MAYBE_BY_NAME = [ENTITIES + "Audio.MusicGenre", ENTITIES + "Audio.MusicArtist"]
SEASON = ENTITIES + "TV.Season"
VIEW = ENTITIES + "UserView"
PLACEHOLDER = "00000000000000000000000000000001"


class Refused(Exception):
    """The move cannot be done without a loss."""


# ----------------------------------------------------------------------------------------------------- the plan

def under(path, folder):
    """Is `path` the folder or something in it? Folders have no `/` at their end."""
    return path == folder or path.startswith(folder + "/")


class Plan:
    """Directories before and after, as the server sees them, and media paths before and after."""

    def __init__(self, before, after, media):
        self.before, self.after = with_defaults(before), with_defaults(after)
        pairs = [(old.rstrip("/"), new.rstrip("/")) for old, new in media]
        pairs += [(self.before[name], self.after[name]) for name in self.before if name in self.after]
        self.pairs = sorted(pairs, key=lambda pair: -len(pair[0]))

    @staticmethod
    def load(file):
        plan = json.loads(Path(file).read_text("utf-8"))
        return Plan(plan["from"], plan["to"], plan.get("map", []))

    def changed(self):
        return [pair for pair in self.pairs if pair[0] != pair[1]]

    def move(self, path):
        """The path after the move, by the longest prefix; the same path if no prefix matches."""
        for old, new in self.pairs:
            if under(path, old):
                return new + path[len(old):] or "/"
        return path


def with_defaults(dirs):
    """Fill in the directories that follow from the data directory, and cut `/` at the end."""
    dirs = {name: path.rstrip("/") for name, path in dirs.items() if path}
    for name in ("data", "root", "metadata", "plugins", "config"):
        dirs.setdefault(name, dirs["programdata"] + "/" + name)
    return dirs


def expand(path, dirs):
    """Replace a token at the start of a path."""
    for token, name in TOKENS.items():
        if under(path, token):
            return dirs[name] + path[len(token):]
    return path


# ----------------------------------------------------------------------------------------------------- item ids

ID = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{32}(?![0-9A-Fa-f])"
                r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![A-Fa-f]))")


def plain(text):
    """An id in any spelling as 32 lower-case digits; None if the text is no id."""
    return text.replace("-", "").lower() if isinstance(text, str) and ID.fullmatch(text) else None


def dashed(plain_id):
    return str(uuid.UUID(plain_id))


def spelled_like(plain_id, sample):
    text = dashed(plain_id) if "-" in sample else plain_id
    return text.upper() if sample != sample.lower() else text


def invariant_lower(text):
    """Lower-case code point by code point; U+0130 has no single lower-case code point and stays."""
    return "".join(char if len(char.lower()) > 1 else char.lower() for char in text)


def formula(type_name, key):
    """Guid(MD5(UTF-16LE(type + key))); the Guid's first three fields are little-endian."""
    digest = hashlib.md5((type_name + key).encode("utf-16-le", "surrogatepass")).digest()
    return uuid.UUID(bytes_le=digest).hex


class Settings:
    """The two switches of system.xml that change ids."""

    def __init__(self, tree):
        file = Path(tree, "config/system.xml")
        root = ElementTree.parse(file).getroot() if file.exists() else ElementTree.Element("none")
        self.case_sensitive = root.findtext("EnableCaseSensitiveItemIds", "true").strip().lower() != "false"
        self.normal_by_name = root.findtext("EnableNormalizedItemByNameIds", "true").strip().lower() != "false"


Item = collections.namedtuple("Item", "id type path series index name data")


def read_items(database):
    """All rows of BaseItems with a readable id, by plain id, without the placeholder."""
    rows = database.execute("SELECT Id, Type, Path, coalesce(SeriesId, ParentId), IndexNumber, Name, Data "
                            "FROM BaseItems")
    items = [Item(plain(row[0]), *row[1:]) for row in rows]
    return {item.id: item for item in items if item.id and item.id != PLACEHOLDER}


class Formula:
    """The ids that the server gives to items when it has these directories and settings."""

    def __init__(self, dirs, settings):
        self.dirs, self.settings = dirs, settings

    def path_key(self, path):
        key = expand(path, self.dirs)
        if key.startswith(self.dirs["programdata"]):  # no separator needed after it
            key = key[len(self.dirs["programdata"]):].lstrip("/\\").replace("/", "\\")
        return key

    def ids(self, item, path, series):
        """The possible ids of an item that has this path and this series id."""
        if item.type == VIEW:
            keys = [view_key(item)]
        elif path:
            keys = [self.path_key(path)]
        elif item.type == SEASON and series:
            index = -1 if item.index is None else item.index
            keys = [f"{dashed(series)}{index}{item.name or ''}"]
        else:
            keys = []
        return [formula(item.type, key) for key in self.cased(item.type, keys)]

    def cased(self, type_name, keys):
        """Keys in the case that the settings ask for; two choices where the rules are silent."""
        lower = [invariant_lower(key) for key in keys]
        if not self.settings.case_sensitive:
            return lower
        if self.settings.normal_by_name and type_name in BY_NAME:
            return lower
        return keys + lower if self.settings.normal_by_name and type_name in MAYBE_BY_NAME else keys


def view_key(item):
    data = read_json(item.data) or {}
    owner, parent = plain(data.get("UserId", "")) or "", plain(data.get("DisplayParentId", "")) or ""
    return f"38_namedview_{item.name}{owner}{parent}{data.get('ViewType', '')}"


def read_json(text):
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


# ----------------------------------------------------------------------------------------------------- the move

class Move:
    """Old and new spelling of every id and path of one server."""

    def __init__(self, plan, items, settings):
        self.plan, self.items = plan, items
        self.old_formula, self.new_formula = Formula(plan.before, settings), Formula(plan.after, settings)
        self.known = {}
        for old in items:
            self.new_id(old)
        self.refuse_collisions()

    def new_id(self, old):
        """The item's id after the move; one that the formula does not give is kept."""
        if old not in self.items:
            return old
        if old not in self.known:
            self.known[old] = old  # a ring of references ends here
            self.known[old] = self.compute(self.items[old])
        return self.known[old]

    def compute(self, item):
        series = plain(item.series)
        old_ids = self.old_formula.ids(item, item.path, series)
        if item.id not in old_ids or item.type == VIEW:
            return item.id
        new_ids = self.new_formula.ids(item, item.path and self.path(item.path), series and self.new_id(series))
        return new_ids[old_ids.index(item.id)]

    def refuse_collisions(self):
        for new, count in collections.Counter(self.known.values()).items():
            if count > 1:
                raise Refused(f"{count} items would have the id {new}")

    def path(self, text):
        """A path after the move. A token stays a token if the new path is still in its directory."""
        absolute = self.plan.move(self.rename_id_folder(expand(text, self.plan.before)))
        for token, name in TOKENS.items():
            if under(text, token) and under(absolute, self.plan.after[name]):
                return token + absolute[len(self.plan.after[name]):]
        return absolute

    def rename_id_folder(self, path):
        for top, folder, form in ID_FOLDERS:
            start = f"{self.plan.before[top]}/{folder}/"
            if path.startswith(start):
                return start + self.rename_parts(path[len(start):], form)
        return path

    def rename_parts(self, rest, form):
        """`xx/<id>/…` with the new id, if the id is an item's and xx is its start."""
        parts = rest.split("/")
        if len(parts) > 1 and parts[0] == parts[1][:2]:
            parts[1] = self.folder_name(parts[1], form)
            parts[0] = parts[1][:2]
        return "/".join(parts)

    def folder_name(self, name, form):
        old = plain(name)
        if old not in self.items or name != (old if form == "N" else dashed(old)):
            return name
        return self.new_id(old) if form == "N" else dashed(self.new_id(old))

    def id_text(self, text):
        """A text with every item id in it replaced, each in its own spelling."""
        return ID.sub(lambda match: self.one_id(match.group()), text)

    def one_id(self, text):
        old = plain(text)
        new = self.new_id(old)
        return text if new == old else spelled_like(new, text)

    def any_text(self, text):
        """A text of JSON or XML: a path, or something with ids in it, or neither."""
        return self.path(text) if text.startswith(("/", "%")) else self.id_text(text)

    def json_text(self, text):
        old = read_json(text)
        new = map_strings(old, self.any_text)
        return text if new == old else json.dumps(new, ensure_ascii=False, separators=(",", ":"))


def map_strings(value, change):
    if isinstance(value, dict):
        return {key: map_strings(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [map_strings(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


# ------------------------------------------------------------------------------------------------- the database

def connect(file):
    """Texts come as str, also those that are no UTF-8; BLOBs as bytes. Foreign keys are off."""
    database = sqlite3.connect(file, isolation_level=None)
    database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    database.execute("PRAGMA foreign_keys = OFF")
    return database


@contextlib.contextmanager
def opened_copy(tree):
    """A connection to a private copy of the tree's database."""
    if not Path(tree, "data/jellyfin.db").is_file():
        sys.exit(f"{tree}: no data/jellyfin.db")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            source = Path(tree, "data/jellyfin.db" + suffix)
            if source.exists():
                shutil.copyfile(source, Path(folder, "copy.db" + suffix))
        database = connect(Path(folder, "copy.db"))
        try:
            yield database
        finally:
            database.close()


def tables(database):
    return [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


def columns(database, table):
    return [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]


def rewrite_database(file, move):
    database = connect(file)
    database.execute("BEGIN IMMEDIATE")
    for table in tables(database):
        rewrite_table(database, table, column_changes(table, move))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def column_changes(table, move):
    """The function that rewrites each column of a table."""
    changes = {column: move.id_text for column in ID_COLUMNS.get(table, [])}
    changes.update({column: move.path for column in PATH_COLUMNS.get(table, [])})
    changes.update({column: move.json_text for column in JSON_COLUMNS.get(table, [])})
    return changes


def rewrite_table(database, table, changes):
    """Delete the rows that change, then insert them: ids may swap places, so no update in place."""
    names = columns(database, table)
    changes = {names.index(column): change for column, change in changes.items() if column in names}
    if not changes:
        return
    rows = []
    for rowid, *old in database.execute(f'SELECT rowid, * FROM "{table}"').fetchall():
        new = [changes[i](v) if i in changes and isinstance(v, str) else v for i, v in enumerate(old)]
        if new != old:
            rows.append((rowid, new))
    database.executemany(f'DELETE FROM "{table}" WHERE rowid = ?', [(rowid,) for rowid, _ in rows])
    for rowid, new in rows:
        insert_row(database, table, names, rowid, new)


def insert_row(database, table, names, rowid, row):
    marks = ["CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row]
    values = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in row]
    quoted = ", ".join(f'"{name}"' for name in names)
    try:
        database.execute(f'INSERT INTO "{table}" (rowid, {quoted}) VALUES (?, {", ".join(marks)})', [rowid, *values])
    except sqlite3.IntegrityError as error:
        raise Refused(f"{table}: {error}") from error


# ---------------------------------------------------------------------------------------------------- the files

def walk(tree):
    """Every entry below a tree as (relative path, DirEntry), folders before what is in them."""
    pending = [""]
    while pending:
        folder = pending.pop()
        for entry in sorted(os.scandir(Path(tree, folder)), key=lambda entry: entry.name):
            relative = f"{folder}/{entry.name}".lstrip("/")
            yield relative, entry
            if entry.is_dir(follow_symlinks=False):
                pending.append(relative)


def new_place(relative, move):
    """Where an entry of the tree stands after the move."""
    for top, folder, form in ID_FOLDERS:
        start = f"{top}/{folder}/"
        if relative.startswith(start):
            return start + move.rename_parts(relative[len(start):], form)
    return relative


def copy_tree(old_tree, new_tree, move):
    """Copy with the folders renamed and all times kept."""
    Path(new_tree).mkdir(parents=True)
    taken, folders = {}, [("", old_tree)]
    for relative, entry in walk(old_tree):
        if re.fullmatch(r"data/[^/]*\.db-(wal|shm)", relative) and "jellyfin" in relative:
            continue
        place = new_place(relative, move)
        if place in taken:
            raise Refused(f"{relative} and {taken[place]} would both be {place}")
        taken[place] = relative
        target = Path(new_tree, place)
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.is_dir(follow_symlinks=False):
            target.mkdir(exist_ok=True)
            folders.append((place, entry.path))
        else:
            shutil.copy2(entry.path, target, follow_symlinks=False)
    return folders


def keep_times(target, source):
    shutil.copystat(source, target, follow_symlinks=False)


def rewrite_file(file, change):
    """Rewrite a UTF-8 text file, with its byte order mark and its times kept."""
    raw, status = file.read_bytes(), file.stat()
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    new = mark + change(raw[len(mark):].decode("utf-8")).encode("utf-8")
    if new != raw:
        file.write_bytes(new)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


XML_PARTS = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>|<[^>]*>|[^<]+", re.S)


def rewrite_xml(text, change):
    """Change the text nodes of an XML file; all else stays as it is."""
    def part(match):
        old = match.group()
        if match.group(1) is not None:
            value = match.group(1)
        elif old.startswith("<") or not old.strip():
            return old
        else:
            value = html.unescape(old)
        new = change(value)
        return old if new == value else html.escape(new, quote=False)
    return XML_PARTS.sub(part, text)


def rewrite_link(text, move):
    path = text.rstrip()
    return move.path(path) + text[len(path):]


def set_metadata_path(text, plan):
    """Name the metadata directory in system.xml if it was the default and no longer is."""
    default = plan.after["metadata"] == plan.after["programdata"] + "/metadata"
    if default:
        return text
    element = f"<MetadataPath>{html.escape(plan.after['metadata'], quote=False)}</MetadataPath>"
    return re.sub(r"<MetadataPath\s*/>|<MetadataPath>\s*</MetadataPath>", lambda _: element, text)


def rewrite_files(tree, move):
    for pattern in XML_FILES:
        for file in sorted(Path(tree).glob(pattern)):
            rewrite_file(file, lambda text: rewrite_xml(text, move.any_text))
    for pattern in LINK_FILES:
        for file in sorted(Path(tree).glob(pattern)):
            rewrite_file(file, lambda text: rewrite_link(text, move))
    system = Path(tree, "config/system.xml")
    if system.exists():
        rewrite_file(system, lambda text: set_metadata_path(text, move.plan))


def load_move(plan, tree):
    with opened_copy(tree) as database:
        return Move(plan, read_items(database), Settings(tree))


def apply(plan, old_tree, new_tree):
    move = load_move(plan, old_tree)
    folders = copy_tree(old_tree, new_tree, move)
    with opened_copy(old_tree) as database:  # the write-ahead log is in it
        target = Path(new_tree, "data/jellyfin.db")
        with contextlib.closing(sqlite3.connect(target.with_suffix(".new"))) as whole:
            database.backup(whole)
        os.replace(target.with_suffix(".new"), target)
    rewrite_database(target, move)
    keep_times(target, Path(old_tree, "data/jellyfin.db"))
    rewrite_files(new_tree, move)
    for place, source in reversed(folders):
        keep_times(Path(new_tree, place), source)


# --------------------------------------------------------------------------------------------------- comparison

def is_log_of_database(relative):
    return re.fullmatch(r"data/[^/]*\.db-(wal|shm)", relative) is not None


def is_bare_prefix(relative, entry):
    """An empty two-letter folder: whether it stays after a rename is free."""
    parts = relative.rsplit("/", 1)
    roots = [f"{top}/{folder}" for top, folder, _ in ID_FOLDERS]
    return len(parts) == 2 and parts[0] in roots and len(parts[1]) == 2 and not any(os.scandir(entry.path))


def listing(tree):
    found = {}
    for relative, entry in walk(tree):
        if entry.is_symlink():
            found[relative] = "link to " + os.readlink(entry.path)
        elif entry.is_dir():
            if not is_bare_prefix(relative, entry):
                found[relative] = "folder"
        elif not is_log_of_database(relative):
            found[relative] = "file"
    return found


def xml_value(file):
    def value(element):
        inner = [value(child) for child in element]
        text = element.text or ""
        text = "" if inner and not text.strip() else text
        return element.tag, sorted(element.attrib.items()), text, (element.tail or "").strip(), inner
    return value(ElementTree.parse(file).getroot())


def file_differences(relative, expected, actual):
    one, two = Path(expected, relative), Path(actual, relative)
    if relative.endswith(".xml"):
        try:
            if xml_value(one) != xml_value(two):
                yield f"{relative}: {first_xml_difference(xml_value(one), xml_value(two))}"
        except ElementTree.ParseError as error:
            if one.read_bytes() != two.read_bytes():
                yield f"{relative}: differs, and cannot be parsed: {error}"
    elif one.read_bytes() != two.read_bytes():
        yield f"{relative}: bytes differ: {one.read_bytes()[:80]!r} / {two.read_bytes()[:80]!r}"
    if Path(relative).name in ("playlist.xml", "collection.xml"):
        if one.stat().st_mtime_ns != two.stat().st_mtime_ns:
            yield f"{relative}: time {one.stat().st_mtime_ns} / {two.stat().st_mtime_ns}"


def first_xml_difference(one, two):
    if one[:4] != two[:4] or len(one[4]) != len(two[4]):
        return f"<{one[0]}> {one[1:3]} with {len(one[4])} / <{two[0]}> {two[1:3]} with {len(two[4])} elements"
    return next((first_xml_difference(a, b) for a, b in zip(one[4], two[4]) if a != b), "")


def canonical(table, column, value):
    """A value with its type, and JSON without the freedom of its spelling."""
    if column in COMPARED_AS_JSON.get(table, []) and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return "json", json.dumps(json.loads(value), sort_keys=True, ensure_ascii=True)
    return type(value).__name__, repr(value)


def table_rows(database, table):
    """Rows of a table by primary key (by all their values if there is none), with a count for equal ones."""
    info = database.execute(f'PRAGMA table_info("{table}")').fetchall()
    names, key = [row[1] for row in info], [row[0] for row in info if row[5]] or range(len(info))
    seen, rows = collections.Counter(), {}
    for row in database.execute(f'SELECT * FROM "{table}"'):
        values = {name: canonical(table, name, value) for name, value in zip(names, row)}
        place = tuple(values[names[i]] for i in key)
        seen[place] += 1
        rows[place + (seen[place],)] = values
    return rows


def table_differences(table, expected, actual):
    one, two = table_rows(expected, table), table_rows(actual, table)
    for key in sorted(one.keys() | two.keys(), key=repr):
        name = f"{table} {' '.join(part[1] for part in key[:-1])}"
        if key not in two:
            yield f"{name}: missing"
        elif key not in one:
            yield f"{name}: not expected"
        else:
            for column in sorted(one[key].keys() | two[key].keys()):
                a, b = one[key].get(column), two[key].get(column)
                if a != b:
                    yield f"{name}: {column}: {a} / {b}"


def database_differences(expected, actual):
    with opened_copy(expected) as one, opened_copy(actual) as two:
        schema = "SELECT type, name, sql FROM sqlite_master"
        for row in sorted(set(one.execute(schema)) ^ set(two.execute(schema)), key=repr):
            yield f"schema: {row[0]} {row[1]} differs"
        for table in sorted(set(tables(one)) & set(tables(two))):
            yield from shortened(table_differences(table, one, two), table)


def shortened(lines, what, limit=10):
    lines = list(lines)
    yield from lines[:limit]
    if len(lines) > limit:
        yield f"{what}: {len(lines) - limit} more"


def compare(expected, actual):
    one, two = listing(expected), listing(actual)
    names = sorted(one.keys() | two.keys())
    yield from shortened((f"{name}: {one.get(name, 'missing')} / {two.get(name, 'missing')}"
                          for name in names if one.get(name) != two.get(name)), "names", 20)
    for name in names:
        if one.get(name) == two.get(name) == "file" and name != "data/jellyfin.db":
            yield from file_differences(name, expected, actual)
    if "data/jellyfin.db" in one and "data/jellyfin.db" in two:
        yield from database_differences(expected, actual)


# ---------------------------------------------------------------------------------------------------------- ids

def given_by(items, formula_):
    """The items whose id the formula gives."""
    return {item.id for item in items.values() if item.id in formula_.ids(item, item.path, plain(item.series))}


def ids(plan, tree):
    with opened_copy(tree) as database:
        items = read_items(database)
    given = given_by(items, Formula(plan.before, Settings(tree)))
    others = [item for item in items.values() if item.id not in given]
    return {"given": len(given), "not given": len(others),
            "first not given": [{"Type": item.type, "Path": item.path} for item in others[:20]]}


# -------------------------------------------------------------------------------------------------------- facts

def id_facts(plan, tree, old_tree):
    with opened_copy(old_tree) as database:
        old = read_items(database)
    with opened_copy(tree) as database:
        new = read_items(database)
    before = given_by(old, Formula(plan.before, Settings(old_tree)))
    after = given_by(new, Formula(plan.after, Settings(tree)))
    if len(old) != len(new):
        yield f"ids: {len(old)} items before, {len(new)} after"
    for item in [new[i] for i in new.keys() - old.keys() - after]:
        yield f"ids: new id that the formula does not give: {item.type} {item.path}"
    for item in [old[i] for i in old.keys() - new.keys() - before]:
        yield f"ids: an id that should stay is gone: {item.type} {item.path}"
    if len(before) != len(after):
        yield f"ids: the formula gives {len(before)} before and {len(after)} after"
    if type_counts(old, before) != type_counts(new, after):
        yield "ids: the types of the items with an id by the formula differ"


def type_counts(items, chosen):
    return collections.Counter(items[id_].type for id_ in chosen)


def all_strings(tree):
    """(where, text) of every string of the database and of the files that the rules name."""
    with opened_copy(tree) as database:
        for table in tables(database):
            names = columns(database, table)
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for column, value in zip(names, row):
                    yield from ((f"{table}.{column}", text) for text in texts_of(table, column, value))
    yield from named_file_strings(tree)


def texts_of(table, column, value):
    data = read_json(value) if column in JSON_COLUMNS.get(table, []) else None
    found = []
    map_strings(value if data is None else data, lambda text: found.append(text) or text)
    return found


def named_file_strings(tree):
    for pattern in XML_FILES:
        for file in sorted(Path(tree).glob(pattern)):
            for element in ElementTree.parse(file).iter():
                yield str(file.relative_to(tree)), element.text or ""
    for pattern in LINK_FILES:
        for file in sorted(Path(tree).glob(pattern)):
            yield str(file.relative_to(tree)), file.read_text("utf-8-sig")


def has_old_prefix(plan, text):
    """Does a text start with a prefix that should be gone, and not with a new one that is as long or longer?"""
    old = max((len(pair[0]) for pair in plan.changed() if under(text, pair[0])), default=-1)
    new = max((len(pair[1]) for pair in plan.pairs if under(text, pair[1])), default=-1)
    return old > new


def prefix_facts(plan, tree):
    found = collections.Counter()
    for where, text in all_strings(tree):
        if has_old_prefix(plan, text):
            found[where, text] += 1
    yield from (f"old prefix: {where}: {text[:120]}" for where, text in found)


def other_file_notes(plan, tree):
    """Files outside the rules that still hold an old path; for the reader, no failure."""
    named = {file for pattern in XML_FILES + LINK_FILES for file in Path(tree).glob(pattern)}
    for relative, entry in walk(tree):
        file = Path(entry.path)
        texts = relative.endswith((".xml", ".json", ".js", ".txt", ".mblink", ".collection", ".strm", ".m3u"))
        if texts and entry.is_file(follow_symlinks=False) and file not in named:
            text = file.read_text("utf-8", "replace")
            old = [pair[0] for pair in plan.changed() if re.search(r'[>"]' + re.escape(pair[0]) + r'[/<"]', text)]
            if old:
                yield f"{relative}: still has {', '.join(old)}"


def reference_counts(tree):
    """How often each place refers to an item that exists, and how often to one that does not."""
    with opened_copy(tree) as database:
        items = set(read_items(database))
        counts = collections.Counter()
        for table in tables(database):
            for column in ID_COLUMNS.get(table, []) + JSON_COLUMNS.get(table, []):
                if column in columns(database, table):
                    for (value,) in database.execute(f'SELECT "{column}" FROM "{table}"'):
                        for match in ID.finditer(value if isinstance(value, str) else ""):
                            counts[f"{table}.{column}", plain(match.group()) in items] += 1
        counts["foreign keys", False] = len(database.execute("PRAGMA foreign_key_check").fetchall())
    return counts


def reference_facts(tree, old_tree):
    old, new = reference_counts(old_tree), reference_counts(tree)
    for where, exists in sorted(old.keys() | new.keys()):
        if old[where, exists] != new[where, exists]:
            what = "items that exist" if exists else "no item"
            yield f"references: {where} to {what}: {old[where, exists]} before, {new[where, exists]} after"


def id_folders(tree):
    """For each kind of folder: the folders of items and those of nobody, with what is in them."""
    with opened_copy(tree) as database:
        items = set(read_items(database))
    found = {}
    for top, folder, form in ID_FOLDERS:
        of_items, of_nobody = [], []
        for place in sorted(Path(tree, top, folder).glob("??/*")):
            old = plain(place.name)
            mine = old in items and place.name == (old if form == "N" else dashed(old))
            mine = mine and place.parent.name == place.name[:2]
            (of_items if mine else of_nobody).append("" if mine else f"{place.parent.name}/{place.name}")
            if mine:
                of_items[-1] = content(place)
        found[f"{top}/{folder}"] = (sorted(of_items), of_nobody)
    return found


def content(folder):
    """Names and hashes of all that is in a folder."""
    files = ((relative, entry) for relative, entry in walk(folder) if entry.is_file(follow_symlinks=False))
    return repr(sorted((relative, hashlib.sha256(Path(entry.path).read_bytes()).hexdigest())
                       for relative, entry in files))


def folder_facts(tree, old_tree):
    old, new = id_folders(old_tree), id_folders(tree)
    for where in old:
        for part, what in enumerate(("items", "nobody")):
            if old[where][part] != new[where][part]:
                yield f"folders: {where}: those of {what} differ ({len(old[where][part])} before, " \
                      f"{len(new[where][part])} after)"


def resolved_files(dirs, tree):
    """How many paths of the database point to a file or folder of the tree."""
    tops = sorted(((dirs[top], top) for top in ("config", "data", "metadata", "root", "plugins")),
                  key=lambda pair: -len(pair[0]))
    counts = collections.Counter()
    with opened_copy(tree) as database:
        for table, names in PATH_COLUMNS.items():
            for column in names:
                for (value,) in database.execute(f'SELECT "{column}" FROM "{table}"'):
                    path = expand(value, dirs) if isinstance(value, str) else ""
                    top = next((top for top in tops if under(path, top[0])), None)
                    if top and Path(tree, top[1] + path[len(top[0]):]).exists():
                        counts[f"{table}.{column}"] += 1
    return counts


def resolved_facts(plan, tree, old_tree):
    old, new = resolved_files(plan.before, old_tree), resolved_files(plan.after, tree)
    for where in sorted(old.keys() | new.keys()):
        if old[where] != new[where]:
            yield f"files: {where}: {old[where]} paths lead to a file before, {new[where]} after"


def facts(plan, tree, old_tree):
    yield from id_facts(plan, tree, old_tree)
    yield from prefix_facts(plan, tree)
    yield from reference_facts(tree, old_tree)
    yield from folder_facts(tree, old_tree)
    yield from resolved_facts(plan, tree, old_tree)


# ----------------------------------------------------------------------------------------------- the command line

def report(lines):
    lines = list(lines)
    for line in lines:
        print(line)
    return 1 if lines else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, names in {"apply": "plan old_tree new_tree", "compare": "plan expected actual", "ids": "tree plan",
                        "facts": "plan tree old_tree"}.items():
        sub = verbs.add_parser(verb)
        for name in names.split():
            sub.add_argument(name)
    return parser.parse_args()


def main():
    given = arguments()
    plan = Plan.load(given.plan)
    if given.verb == "compare":
        return report(compare(given.expected, given.actual))
    if given.verb == "ids":
        print(json.dumps(ids(plan, given.tree), indent=2, ensure_ascii=False))
        return 0
    if given.verb == "facts":
        for note in other_file_notes(plan, given.tree):
            print("note:", note, file=sys.stderr)
        return report(facts(plan, given.tree, given.old_tree))
    try:
        apply(plan, given.old_tree, given.new_tree)
        return 0
    except Refused as refused:
        print("refused:", refused, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
