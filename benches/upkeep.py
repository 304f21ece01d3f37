#!/usr/bin/env python3
"""forget, prune, check and repair at scale: N snapshots of F files, time, memory and bytes read.

Usage: benches/upkeep.py [--files 100000] [--snapshots 1000] [--changes 10] [--dir DIR] [--program target/release/jellyvault]
Writes one row a command: seconds, CPU seconds, peak MiB, bytes read of the repository (counted by strace where it is there).
"""
import argparse, json, os, random, re, resource, shutil, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("--files", type=int, default=100_000)
parser.add_argument("--snapshots", type=int, default=1000)
parser.add_argument("--changes", type=int, default=10)
parser.add_argument("--dir")
parser.add_argument("--program", default="target/release/jellyvault")
args = parser.parse_args()
root = args.dir or tempfile.mkdtemp(prefix="jellyvault-upkeep-")
os.makedirs(root, exist_ok=True)
source, repo = os.path.join(root, "source"), os.path.join(root, "repo")
program = os.path.abspath(args.program)
rng = random.Random(7)


def path_of(n):
    return os.path.join(source, "metadata", "library", "%02x" % (n // 4 * 2654435761 >> 16 & 255), "%08x" % (n // 4), "%d.jpg" % (n % 4))


def put(n):
    path = path_of(n)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(b"\xff\xd8\xff" + rng.randbytes(rng.randrange(500, 40_000)))


def run(name, *arguments, counted=False):
    command = [program, "--repo", repo, "--json", *arguments]
    log = os.path.join(root, "strace")
    if counted and shutil.which("strace"):
        command = ["strace", "-f", "-qq", "-y", "-e", "trace=read,pread64", "-o", log, *command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    answer = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) not in (0,):
        sys.exit(f"{name}: {answer[:2000]}")
    read = None
    if counted and os.path.exists(log):
        read = sum(int(m.group(1)) for m in re.finditer(r"<[^>]*/(?:packs|snapshots|list)/[^>]*>.* = (\d+)", open(log).read()))
        os.remove(log)
    total = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(os.path.join(repo, "packs")) for f in files)
    share = "" if read is None else f"; read {read:,} of {total:,} bytes ({100 * read / max(total, 1):.2f} %)"
    print(f"{name}: {seconds:.2f} s, CPU {usage.ru_utime + usage.ru_stime:.2f} s, peak {usage.ru_maxrss / 1024:.0f} MiB{share}", flush=True)
    return json.loads(answer)


if not os.path.exists(repo):
    for n in range(args.files):
        put(n)
    snapshot = [program, "--repo", repo, "-q", "snapshot", "--plain", source]
    subprocess.run(snapshot, check=True)
    began = time.monotonic()
    for _ in range(args.snapshots - 1):
        for _ in range(args.changes):
            put(rng.randrange(args.files))
        subprocess.run(snapshot, check=True)
    print(f"{args.snapshots - 1} more snapshots, {args.changes} of {args.files} files changed in each: {time.monotonic() - began:.0f} s", flush=True)
run("list", "list")
run("snapshot, nothing changed", "snapshot", "--plain", source)
run("check", "check")
run("check --read-data", "check", "--read-data")
run("forget --dry-run, half of them", "forget", "--keep-last", str(args.snapshots // 2), "--dry-run")
run("forget, half of them", "forget", "--keep-last", str(args.snapshots // 2))
plan = run("prune --dry-run", "prune", "--dry-run", "--max-unused", "0%", counted=True)
run("prune", "prune", counted=False)
run("prune, nothing to do", "prune", counted=True)
run("forget, all but one", "forget", "--keep-last", "1")
print("unused:", run("prune --dry-run", "prune", "--dry-run")["plan"]["bytes"])
run("prune --max-unused 1%", "prune", "--max-unused", "1%", counted=True)
run("check", "check")
