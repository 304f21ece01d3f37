"""Makes a tree like the data directory of a Jellyfin server, the same each time for the same seed.

    python3 benches/corpus make small DIR      or medium (8.1 GB), or many (a million files of up to 4 KB)
    python3 benches/corpus day DIR UNDO_DIR    changes the tree as a day of use does, and keeps what undoes it
    python3 benches/corpus undo DIR UNDO_DIR   takes that day back

It needs Python with numpy and Pillow.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time

from database import make_db
from day import mutate, undo_day
from files import many_job, shard_job
from pictures import build_pools

SCALE = {"small": 0.055, "medium": 0.95, "many": 1.0}
MANY_FILES = 1_000_000
SHARDS = 8  # as many whatever --jobs says: they decide what comes out


def make(options):
    if os.path.exists(options.dir):
        sys.exit(f"{options.dir} exists")
    os.makedirs(options.dir)
    begun = time.time()
    scale = SCALE[options.preset] if options.scale is None else options.scale
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        shards = [(options.dir, options.seed, shard, SHARDS) for shard in range(SHARDS)]
        if options.preset == "many":
            made = pool.map(many_job, [(*shard, int(MANY_FILES * scale), options.bases) for shard in shards], 1)
        else:
            database_mb = options.db_mb or max(4, int(200 * scale))
            database = pool.apply_async(make_db, (options.dir, options.seed, database_mb))
            made = pool.map(shard_job, [(*shard, scale, options.bases) for shard in shards], 1)
            database.get()
    files, size, copies = map(sum, zip(*made))
    facts = {"preset": options.preset, "seed": options.seed, "files": files, "bytes": size, "exact_duplicates": copies}
    print(json.dumps(facts | {"seconds": round(time.time() - begun, 1)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("make", "day", "undo"):
        command = commands.add_parser(name)
        if name == "make":
            command.add_argument("preset", choices=SCALE)
        command.add_argument("dir")
        if name != "make":
            command.add_argument("undo_dir")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--bases", type=int, default=100, help="real pictures that are encoded for each quality")
        if name == "make":
            command.add_argument("--scale", type=float, help="times the usual number of files")
            command.add_argument("--db-mb", type=int, help="size of the database")
            command.add_argument("--jobs", type=int, default=2)
        if name == "day":
            command.add_argument("--day", type=int, default=2, help="its number; each has other changes")
    options = parser.parse_args()
    if options.command == "undo":
        return undo_day(options.dir, options.undo_dir)
    build_pools(options.seed, options.bases)
    if options.command == "day":
        return mutate(options.dir, options.undo_dir, options.seed, options.day, options.bases)
    make(options)


if __name__ == "__main__":
    main()
