"""Programs beside each other over the same changes of a database: beside.py DATABASE RUNS NAME=PROGRAM|PEER ….

NAME=PROGRAM is a build of jellyvault; PEER one of benches/peers/tools.py (vykar, restic, borg, rustic, …), found in .bench/bin or on PATH.
Each change (a light day, sixty watched items, ten refreshed films, and a VACUUM after each) is captured by every program in turn, into a
repository of its own. Printed for each: median of the seconds, the bytes that were added, and the peak memory. At the end the last state is
restored several times and compared. With as many RUNS as programs each comes at every place in the order. WORK names the directory that all of it happens in, else a temporary one."""
import filecmp
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "peers"))
from measure import environment, fill, run, size_of, touch_memory
from tools import TOOLS

database, runs = sys.argv[1], int(sys.argv[2])
place = tempfile.mkdtemp(prefix="jellyvault-beside-", dir=os.environ.get("WORK"))
source, live = os.path.join(place, "source"), os.path.join(place, "source/library.db")
environment = environment(os.path.join(here, "../.bench/bin"), place)
results = {}
# More than any of the programs needs.
FREE_BYTES = 3 << 30


def tool(argument):
    """A name, and how that program is asked: a peer's lines, or those of a build of jellyvault."""
    name, _, program = argument.partition("=")
    if not program:
        return name, TOOLS[name]
    own = f"{os.path.abspath(program)} --repo {{R}} --no-progress"
    return name, dict(init=f"{own} init", snapshot=f"{own} snapshot --plain {{S}}", restore=f"{own} restore {{last}} --to {{D}}", ids="echo latest", rows=f"{own} diff --rows --database library.db latest~1 latest")


programs = dict(map(tool, sys.argv[3:]))
order = list(programs)


def values(name, **others):
    work = os.path.join(place, name)
    return {"R": f"{work}/repository", "W": work, "S": source, "D": f"{work}/out", "n": len(results) + time.time_ns(), **others}


def stored(name):
    """Bytes of a repository. jellyvault's index and scan cache can be made anew, and lie beside it or in a cache, as those of others do."""
    repository = values(name)["R"]
    parts = [f"{repository}/{part}" for part in ("packs", "list", "snapshots")]
    return sum(map(size_of, parts)) if os.path.exists(f"{repository}/index.redb") else size_of(repository)


def ask(name, what, **others):
    """One command of a program, measured."""
    touch_memory(FREE_BYTES)
    done = run(fill(programs[name][what], values(name, **others)), environment, cwd=values(name)["W"], log=f"{place}/said")
    assert done["code"] == 0, f"{name} {what}: {done['tail']}"
    return done


def note(what, name, done, added):
    results.setdefault(what, {}).setdefault(name, []).append((done["wall"], added, done["rss_mb"]))


def turn():
    """The last program comes first."""
    first = programs.popitem()
    rest = dict(programs)
    programs.clear()
    programs.update([first], **rest)


def capture(what):
    # Older than the clock's grain, or the copy waits for it to settle.
    time.sleep(1)
    # Who comes first finds the file as its writer left it, and the disk busy: each in turn.
    turn()
    for name, lines in programs.items():
        before = stored(name)
        done = ask(name, "snapshot")
        note(what, name, done, stored(name) - before)
        if what.startswith("VACUUM") and "rows" in lines:
            note("diff --rows across a VACUUM", name, ask(name, "rows"), 0)


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
os.chmod(live, 0o644)
for name, lines in programs.items():
    os.makedirs(values(name)["W"])
    if "prepare" in lines:
        ask(name, "prepare")
    ask(name, "init")
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
    # Six captures a round: without another turn two or three programs came at the same place in each.
    turn()
last = {}
for name, lines in programs.items():
    listed = subprocess.run(["bash", "-c", fill(lines["ids"], values(name))], env=environment, capture_output=True, text=True, check=True).stdout
    last[name] = listed.split()[-1]
# In turn, too: who comes next finds the memory as the one before left it.
for _ in range(2 * runs + 1):
    for name in programs:
        out = values(name)["D"]
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        note("restored", name, ask(name, "restore", last=last[name]), 0)
        found = [os.path.join(folder, "library.db") for folder, _, files in os.walk(out) if "library.db" in files]
        assert filecmp.cmp(found[0], live, shallow=False), name
    turn()
for what, by_program in results.items():
    cells = []
    for name, taken in sorted(by_program.items(), key=lambda one: order.index(one[0])):
        seconds, added, memory = (statistics.median(one[fact] for one in taken) for fact in range(3))
        cells.append(f"{name} {seconds:.3f} s {added / 1e6:.3f} MB {memory:.0f} MiB")
    print(f"{what:28}", " | ".join(cells))
shutil.rmtree(place)
