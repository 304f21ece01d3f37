"""Builds of jellyvault beside each other over the same changes of a database: beside.py DATABASE RUNS NAME=PROGRAM [NAME=PROGRAM …].

Each change (a light day, sixty watched items, ten refreshed films, and a VACUUM after each) is captured by every program in turn, into a
repository of its own; medians of the runs, and the bytes that were added. At the end the last state is restored and compared."""
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

database, runs = sys.argv[1], int(sys.argv[2])
programs = dict(argument.split("=", 1) for argument in sys.argv[3:])
place = tempfile.mkdtemp(prefix="jellyvault-beside-")
source, live = os.path.join(place, "source"), os.path.join(place, "source/library.db")
homes = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
environment = {**os.environ, **{name: os.path.join(place, name) for name in homes}}
here = os.path.dirname(os.path.abspath(__file__))
results = {}


def run(name, *arguments):
    begun = time.time()
    done = subprocess.run([programs[name], "--repo", os.path.join(place, name), *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.time() - begun, done.stdout


def capture(what):
    # Older than the clock's grain, or the copy waits for it to settle.
    time.sleep(1)
    for name in programs:
        seconds, answer = run(name, "--json", "snapshot", "--init", "--plain", source)
        results.setdefault(what, {}).setdefault(name, []).append((seconds, json.loads(answer)["bytes"]["new_stored"]))


def change(statements):
    db = sqlite3.connect(live)
    db.execute("PRAGMA foreign_keys = OFF")
    statements(db)
    db.commit()
    db.close()


def vacuum(what):
    change(lambda db: db.execute("VACUUM"))
    capture(f"VACUUM after {what}")


def watch(db, number):
    states = [row[0] for row in db.execute("SELECT rowid FROM UserData")][number * 60 : number * 60 + 60]
    for state in states:
        db.execute("UPDATE UserData SET PlayCount = PlayCount + 1, Played = 1, LastPlayedDate = '2026-11-29 20:00:00.1' WHERE rowid = ?", (state,))


def refresh(db, number):
    """Writes rows below ten films anew, as the server does."""
    for (item,) in db.execute("SELECT Id FROM BaseItems WHERE Type LIKE '%Movie' LIMIT 10 OFFSET ?", (number * 10,)).fetchall():
        db.execute("UPDATE BaseItems SET Overview = Overview || ' again', DateLastRefreshed = '2026-11-29 20:00:00.1' WHERE Id = ?", (item,))
        for table in ("MediaStreamInfos", "Chapters", "BaseItemProviders", "PeopleBaseItemMap"):
            rows = db.execute(f'SELECT * FROM "{table}" WHERE ItemId = ?', (item,)).fetchall()
            db.execute(f'DELETE FROM "{table}" WHERE ItemId = ?', (item,))
            for row in rows:
                db.execute(f'INSERT INTO "{table}" VALUES ({",".join("?" * len(row))})', row)


os.mkdir(source)
shutil.copy(database, live)
capture("first copy")
for number in range(runs):
    subprocess.run([sys.executable, os.path.join(here, "light_day.py"), live, str(number)], check=True)
    capture("light day")
    vacuum("a light day")
    change(lambda db: watch(db, number))
    capture("60 watched")
    vacuum("60 watched")
    change(lambda db: refresh(db, number))
    capture("10 refreshed")
    vacuum("10 refreshed")
for what, by_program in results.items():
    medians = [(name, statistics.median(t for t, _ in taken), statistics.median(b for _, b in taken)) for name, taken in by_program.items()]
    print(f"{what:28}", " | ".join(f"{name} {seconds:.3f} s {added / 1e6:.3f} MB" for name, seconds, added in medians))
for name in programs:
    out, seconds = os.path.join(place, "out"), []
    for _ in range(3):
        shutil.rmtree(out, ignore_errors=True)
        seconds.append(run(name, "restore", "latest", "--to", out)[0])
    with open(os.path.join(out, "library.db"), "rb") as restored, open(live, "rb") as captured:
        assert restored.read() == captured.read(), name
    print(f"{'restored':28}", f"{name} {statistics.median(seconds):.3f} s")
shutil.rmtree(place)
