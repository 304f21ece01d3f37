"""A day of use: what changes in a data directory overnight, and how to take it back."""

import json
import os
import shutil
import sqlite3

import numpy as np
from database import date, insert_items
from files import EPOCH, Maker


def walk_files(root):
    out = []
    for d, ds, fs in os.walk(root):
        ds.sort()
        for f in sorted(fs):
            out.append(os.path.join(d, f)[len(root) + 1 :])
    return [f for f in out if not f.startswith("data/jellyfin.db")]


def mutate(root, undo, seed, day, nbase):
    r = np.random.default_rng([seed, 4242, day])
    files = walk_files(root)
    N = len(files)
    os.makedirs(undo)
    if os.path.exists(f"{root}/data/jellyfin.db"):
        shutil.copy2(f"{root}/data/jellyfin.db", f"{undo}/jellyfin.db")
    log = {"renamed_dir": [], "moved": [], "created": [], "touched": [], "appended": []}
    perm = r.permutation(N)
    nm, nd = max(2, N // 1000), max(2, N // 1000)
    img = [files[i] for i in perm if files[i].endswith(".jpg")][: nm + nd]
    m = Maker(root, seed, 900_000 + day, nbase)
    now = EPOCH + day * 86400

    def stash(rel):
        k = f"{undo}/{len(log['moved'])}"
        os.rename(f"{root}/{rel}", k)
        log["moved"].append([rel, k])

    for rel in img[:nm]:  # replaced by new artwork
        parts = [("trickplay", "trickplay"), ("People", "people"), ("poster.jpg", "poster")]
        kind = next((kind for part, kind in parts if part in rel), "thumb")
        stash(rel)
        m.recent.clear()
        m.write(f"{root}/{rel}", m.jpeg(kind), now)
        log["created"].append(rel)
    for rel in img[nm:]:
        stash(rel)  # deleted
    for rel in [files[i] for i in perm[-25:]]:  # touched, same content
        p = f"{root}/{rel}"
        if os.path.exists(p):
            log["touched"].append([rel, os.stat(p).st_mtime_ns])
            os.utime(p, (now, now))
    new = []
    m2 = Maker(root, seed, 910_000 + day, nbase)
    want, items = int(N * 0.005), []
    orig = m2.write

    def rec(path, data, mtime=None):
        new.append(path[len(root) + 1 :])
        orig(path, data, mtime)

    m2.write = rec
    while len(new) < want:
        k = len(items) % 4
        if k == 0:
            items.append(m2.movie(len(items) % 3 == 0, True, 1, 2, 1, 0, now))
        elif k == 1:
            items.append(m2.episode(1, 0, now))
        else:
            m2.person(now)
            items.append(None)
    log["created"] += new
    libs = sorted(os.listdir(f"{root}/metadata/library"))
    a = libs[int(r.integers(len(libs)))]
    os.rename(f"{root}/metadata/library/{a}", f"{root}/metadata/library/{a}_moved")
    log["renamed_dir"].append([f"metadata/library/{a}", f"metadata/library/{a}_moved"])
    for f in sorted(os.listdir(f"{root}/log"))[-1:] if os.path.isdir(f"{root}/log") else []:
        p = f"{root}/log/{f}"
        log["appended"].append([f"log/{f}", os.path.getsize(p), os.stat(p).st_mtime_ns])
        with open(p, "ab") as h:
            h.write(m.text.prose(r, 8000).encode())
        os.utime(p, (now, now))
    p = f"{root}/data/jellyfin.db"
    if os.path.exists(p):
        c = sqlite3.connect(p)
        c.execute("PRAGMA synchronous=OFF")
        c.execute("PRAGMA journal_mode=WAL")
        for tab, col, frac in (
            ("BaseItems", "DateLastRefreshed", 100),
            ("UserData", "LastPlayedDate", 100),
            ("BaseItemImageInfos", "DateModified", 100),
            ("BaseItemProviders", "ProviderValue", 400),
        ):
            (n,) = c.execute(f"SELECT max(rowid) FROM {tab}").fetchone()
            if n:
                c.executemany(
                    f"UPDATE {tab} SET {col}=? WHERE rowid=?",
                    [(date(r), int(i)) for i in r.integers(1, n + 1, n // frac)],
                )
        pe = [x for (x,) in c.execute("SELECT Id FROM Peoples ORDER BY rowid LIMIT 2000")]
        us = [x for (x,) in c.execute("SELECT Id FROM Users ORDER BY rowid")]
        va = [x for (x,) in c.execute("SELECT ItemValueId FROM ItemValues ORDER BY rowid")]
        pa = [x for (x,) in c.execute("SELECT DISTINCT ParentId FROM BaseItems ORDER BY 1")]
        insert_items(c, r, m.text, [i for i in items if i], pe, pa, us, va)
        c.commit()
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        c.close()
        os.utime(p, (now, now))
    with open(f"{undo}/log.json", "w") as file:
        json.dump(log, file)
    print(
        json.dumps(
            {
                "files_before": N,
                "new_files": len(new),
                "replaced": nm,
                "deleted": len(img) - nm,
                "touched": len(log["touched"]),
                "renamed": log["renamed_dir"],
                "new_bytes": m.bytes + m2.bytes,
            }
        )
    )


def undo_day(root, undo):
    with open(f"{undo}/log.json") as file:
        log = json.load(file)
    for a, b in log["renamed_dir"]:
        os.rename(f"{root}/{b}", f"{root}/{a}")
    for rel in log["created"]:
        p = f"{root}/{rel}"
        if not os.path.exists(p):
            continue
        os.unlink(p)
        d = os.path.dirname(p)
        while d != root and not os.listdir(d):
            os.rmdir(d)
            d = os.path.dirname(d)
    for rel, k in log["moved"]:
        os.makedirs(os.path.dirname(f"{root}/{rel}"), exist_ok=True)
        os.rename(k, f"{root}/{rel}")
    for rel, ns in log["touched"]:
        os.utime(f"{root}/{rel}", ns=(ns, ns))
    for rel, size, ns in log["appended"]:
        os.truncate(f"{root}/{rel}", size)
        os.utime(f"{root}/{rel}", ns=(ns, ns))
    if os.path.exists(f"{undo}/jellyfin.db"):
        shutil.copy2(f"{undo}/jellyfin.db", f"{root}/data/jellyfin.db")
    shutil.rmtree(undo)
