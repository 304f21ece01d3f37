"""A day of a Jellyfin 12.0 server, a snapshot every quarter of an hour: day.py JELLYVAULT DATABASE WORK.
Prints what was stored, by cause.

What the day has is what an idle 12.0 server did: a library scan every twelve hours paints a splash screen of 3.8 MB,
the database is optimised (VACUUM) every six hours, tasks write their times; one light day of changes (light_day.py)
is spread over it. The splash screen is left out by default."""
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

binary, database, work = sys.argv[1:4]
here = os.path.dirname(os.path.abspath(__file__))
QUARTERS = 96
source, repo = os.path.join(work, "server"), os.path.join(work, "repository")
os.makedirs(os.path.join(source, "data/ScheduledTasks"))
for name in ("config", "plugins", "metadata/People"):
    os.makedirs(os.path.join(source, name))
own = os.path.join(source, "data/jellyfin.db")
shutil.copy(database, own)
TASKS = [f"{random.Random(n).getrandbits(128):032x}" for n in range(20)]


def task(number):
    with open(os.path.join(source, "data/ScheduledTasks", TASKS[number] + ".js"), "w") as file:
        json.dump({"StartTimeUtc": time.time_ns(), "EndTimeUtc": time.time_ns() + 1, "Status": "Completed", "Name": TASKS[number]}, file)


def scan(quarter):
    with open(os.path.join(source, "data/splashscreen.png"), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + random.Random(quarter).randbytes(3_800_000))
    task(0)


def packs():
    found = (os.path.join(folder, name) for folder, _, names in os.walk(repo) for name in names)
    return sum(os.path.getsize(path) for path in found if "/packs/" in path or "/snapshots/" in path)


def snapshot():
    before, start = packs(), time.monotonic()
    subprocess.run([binary, "snapshot", source, "--repo", repo, "--quiet", "--init"], check=True, stdout=subprocess.DEVNULL)
    return packs() - before, time.monotonic() - start


for number in range(20):
    task(number)
scan(-1)
first, seconds = snapshot()
print(f"first copy: {first / 1e6:.2f} MB, {seconds:.2f} s")
stored, times = {}, {}
for quarter in range(QUARTERS):
    cause = "changed rows"
    subprocess.run([sys.executable, os.path.join(here, "light_day.py"), own, "1", str(quarter), str(QUARTERS)], check=True)
    if quarter % 24 == 12:
        cause = "changed rows and VACUUM"
        connection = sqlite3.connect(own)
        connection.execute("VACUUM")
        connection.close()
        task(1)
    if quarter % 48 == 30:
        cause = "changed rows and a library scan"
        scan(quarter)
    if quarter == 70:
        cause = "changed rows and the daily tasks"
        for number in range(2, 20):
            task(number)
    bytes, seconds = snapshot()
    stored.setdefault(cause, []).append(bytes)
    times.setdefault(cause, []).append(seconds)
for cause in stored:
    count, sum_of = len(stored[cause]), sum(stored[cause])
    print(f"{cause}: {count} snapshots, {sum_of / 1e6:.3f} MB, {sum_of / count / 1e3:.1f} kB each, {sorted(times[cause])[count // 2]:.2f} s")
print(f"the day: {sum(map(sum, stored.values())) / 1e6:.3f} MB")
