"""Multiplies the items of a real jellyfin.db: grow_database.py FROM TO ITEMS [--ids-of-paths].

For measuring exports of large libraries (benches/zips.sh). With --ids-of-paths each item has the id that Jellyfin makes of its type and path, so that
moving its media changes all ids (benches/moves.py).
"""
import hashlib
import random
import shutil
import sqlite3
import sys
import uuid

source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
of_paths = "--ids-of-paths" in sys.argv[4:]
shutil.copy(source, target)
db = sqlite3.connect(target)
db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF")
random.seed(1)
WORDS = "the silent harbour of winter light beneath a distant northern river where old letters burn slowly and nobody remembers why".split()
TABLES = ["AncestorIds", "Chapters", "MediaStreamInfos", "BaseItemProviders", "BaseItemImageInfos", "ItemValuesMap", "PeopleBaseItemMap", "UserData"]


def guid():
    return str(uuid.UUID(int=random.getrandbits(128))).upper()


def guid_of(kind, path):
    return str(uuid.UUID(bytes_le=hashlib.md5((kind + path).encode("utf-16-le")).digest())).upper()


def text(words):
    return " ".join(random.choice(WORDS) for _ in range(words))


def columns(table):
    return [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]


COLUMNS = {table: columns(table) for table in [*TABLES, "BaseItems"]}
INSERT = {table: f'INSERT OR IGNORE INTO "{table}" VALUES ({",".join("?" * len(names))})' for table, names in COLUMNS.items()}
items = db.execute("SELECT * FROM BaseItems WHERE Type <> 'PLACEHOLDER'").fetchall()
rows = {}
for table in TABLES:
    item = COLUMNS[table].index("ItemId")
    for row in db.execute(f'SELECT * FROM "{table}"').fetchall():
        rows.setdefault(row[item], []).append((table, row))
at = {name: COLUMNS["BaseItems"].index(name) for name in ["Id", "Type", "Overview", "Name", "Tags", "PresentationUniqueKey", "Path"]}
db.execute("BEGIN")
for number in range(count):
    item = list(random.choice(items))
    old, new = item[at["Id"]], guid()
    item[at["Overview"]], item[at["Name"]], item[at["Tags"]] = text(60), text(4), text(6)
    item[at["Path"]] = f"/media/films/{text(3)} {number}/film.mkv"
    if of_paths:
        new = guid_of(item[at["Type"]], item[at["Path"]])
    item[at["Id"]], item[at["PresentationUniqueKey"]] = new, new.replace("-", "").lower()
    db.execute(INSERT["BaseItems"], item)
    for table, row in rows.get(old, []):
        row = list(row)
        row[COLUMNS[table].index("ItemId")] = new
        if table == "BaseItemImageInfos":
            row[COLUMNS[table].index("Id")] = guid()
        db.execute(INSERT[table], row)
db.commit()
db.execute("VACUUM")
