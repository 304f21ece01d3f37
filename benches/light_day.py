"""A light day of a grown jellyfin.db: light_day.py DATABASE SEED [PART PARTS]. 120 watch states, 30 films
edited, 3 gone, 50 entries of the log.

With PART, from 0, only that one of PARTS equal parts of the day."""
import random
import sqlite3
import sys

random.seed(int(sys.argv[2]))
PART, PARTS = (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 3 else (0, 1)
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA foreign_keys = OFF")
BELOW = ["AncestorIds", "Chapters", "MediaStreamInfos", "BaseItemProviders", "BaseItemImageInfos", "ItemValuesMap", "PeopleBaseItemMap", "UserData"]
states = [row[0] for row in db.execute("SELECT rowid FROM UserData")]
films = [row for row in db.execute("SELECT rowid, Id FROM BaseItems WHERE Type LIKE '%Movie'")]
for state in random.sample(states, min(120, len(states)))[PART::PARTS]:
    db.execute("UPDATE UserData SET Played = 1 - Played, PlayCount = PlayCount + 1, LastPlayedDate = '2026-11-24 10:00:00.123' WHERE rowid = ?", (state,))
for number, (row, item) in list(enumerate(random.sample(films, min(33, len(films)))))[PART::PARTS]:
    if number < 30:
        db.execute("UPDATE BaseItems SET Overview = Overview || ' more', DateLastSaved = '2026-11-24 10:00:00' WHERE rowid = ?", (row,))
        continue
    for table in BELOW:
        db.execute(f'DELETE FROM "{table}" WHERE ItemId = ?', (item,))
    db.execute("DELETE FROM BaseItems WHERE Id = ?", (item,))
for number in range(50)[PART::PARTS]:
    entry = (f"entry {number}", "x", "7783A0A4-D064-4392-9A0A-88773418DC64", "2026-11-24 10:00:00")
    db.execute("INSERT INTO ActivityLogs (Name, Type, UserId, DateCreated, LogSeverity, RowVersion) VALUES (?, ?, ?, ?, 2, 0)", entry)
db.commit()
