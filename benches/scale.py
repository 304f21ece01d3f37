#!/usr/bin/env python3
"""What does a command cost as files and snapshots grow? Writes the tables of docs/scale.md.

    benches/scale.py                              10^4 to 10^6 files, 10 to 1,000 snapshots
    benches/scale.py --files 7 --snapshots 4      up to 10^7 entries (a repository made up without the files, 3 GB) and 10^4 snapshots

Captures run over real files, up to 10^6 (--million names a tree that is there already, such as that of benches/corpus make many; else one is made).
What reads a repository runs over one that holds two snapshots of so many entries, a hundred of which differ (benches/scale.rs). Beside the time stands what
does not depend on the machine: system calls that open or read a file of the repository, and the bytes they read (strace).
"""
import argparse, json, os, re, shutil, subprocess, sys, time

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHANGED = 100


class Program:
    def __init__(self, root):
        self.root = root
        built = lambda *arguments: subprocess.run(["cargo", *arguments, "--locked", "--quiet"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
        built("build", "--release")
        self.path = f"{PROJECT}/target/release/jellyvault"
        artefacts = (json.loads(line) for line in built("bench", "--no-run", "--bench", "scale", "--message-format=json").splitlines())
        self.maker = next(a["executable"] for a in artefacts if a.get("executable") and a["target"]["name"] == "scale")

    def measure(self, repository, *arguments, repeat=3):
        """Seconds (median), peak MiB, calls, bytes read of the repository."""
        command = [self.path, "--repo", repository, "-q", *arguments]
        times, peak = [], 0
        for _ in range(repeat):
            begun = time.monotonic()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            said = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            times.append(time.monotonic() - begun)
            peak = max(peak, usage.ru_maxrss // 1024)
            if os.waitstatus_to_exitcode(status) != 0:
                sys.exit(f"{' '.join(command)}: {said.decode(errors='replace')}")
        return sorted(times)[len(times) // 2], peak

    def count(self, repository, *arguments):
        """Calls that open, list or read in the repository, and the bytes they read."""
        log = f"{self.root}/strace"
        traced = ["strace", "-f", "-qq", "-y", "-e", "trace=openat,openat2,read,pread64,statx,getdents64", "-o", log]
        subprocess.run([*traced, self.path, "--repo", repository, "-q", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        calls = total = 0
        for line in open(log, errors="replace"):
            if repository in line:
                calls += 1
                found = re.search(r"(?:read|pread64)\(.*\) = (\d+)$", line.strip())
                total += int(found[1]) if found else 0
        os.remove(log)
        return calls, total


def cell(program, repository, *arguments, repeat=3, counted=True):
    seconds, peak = program.measure(repository, *arguments, repeat=repeat)
    told = f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    if not counted:
        return f"{told}, {peak} MiB"
    calls, total = program.count(repository, *arguments)
    return f"{told}, {peak} MiB; {calls:,} calls, {total / 1e6:,.2f} MB"


def rows_of(title, names, columns):
    """A Markdown table; `columns` are (head, {name: cell})."""
    lines = [f"| {title} | " + " | ".join(head for head, _ in columns) + " |", "| --- |" + " --- |" * len(columns)]
    return lines + [f"| {name} | " + " | ".join(cells.get(name, "–") for _, cells in columns) + " |" for name in names] + [""]


def make_tree(root, files):
    for number in range(files):
        folder = f"{root}/library/{number // 100_000:03}/{number // 10 % 10_000:06}"
        if number % 10 == 0:
            os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number % 10}.jpg", "wb") as out:
            out.write(b"\xff\xd8\xff" + number.to_bytes(8, "little") * 12)


def first_files(root, count):
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            found.append(f"{folder}/{name}")
            if len(found) == count:
                return found
    return found


def captures(program, exponents, million):
    """Real files: first capture, nothing changed, a hundred changed."""
    columns = []
    for exponent in exponents:
        tree = million if million and exponent == 6 else f"{program.root}/tree"
        if tree != million:
            make_tree(tree, 10**exponent)
        repository = f"{program.root}/captures"
        cells = {"first capture": cell(program, repository, "snapshot", "--plain", tree, repeat=1, counted=False)}
        cells["nothing changed"] = cell(program, repository, "snapshot", "--plain", tree, counted=False)
        changed = first_files(tree, CHANGED)
        for path in changed:
            with open(path, "ab") as out:
                out.write(b"x")
        cells["a hundred files changed"] = cell(program, repository, "snapshot", "--plain", tree, repeat=1, counted=False)
        for path in changed:
            os.truncate(path, os.path.getsize(path) - 1)
        columns.append((f"10^{exponent} files", cells))
        print(columns[-1], flush=True)
        shutil.rmtree(repository)
        if tree != million:
            shutil.rmtree(tree)
    return rows_of("captures", list(columns[0][1]), columns)


def readers(program, exponents):
    """Repositories of so many entries: what reads them."""
    columns = []
    for exponent in exponents:
        repository, out = f"{program.root}/entries", f"{program.root}/out"
        made = subprocess.run([program.maker, repository, str(10**exponent)], check=True, capture_output=True, text=True).stdout
        print(made.strip(), flush=True)
        some = f"library/{10**exponent // 200_000:03}/{10**exponent // 20 % 10_000:06}/5.jpg"
        cells = {
            "diff, a hundred changed": cell(program, repository, "diff", "day0", "day1"),
            "cat of one file": cell(program, repository, "cat", f"day1:{some}"),
            "restore of one file": cell(program, repository, "restore", "day1", "--path", some, "--to", out),
            "list": cell(program, repository, "list"),
            "find by name (goes through all)": cell(program, repository, "find", "nothing.xyz", repeat=1, counted=False),
            "check of the structure (goes through all)": cell(program, repository, "check", repeat=1, counted=False),
            "forget one, prune (goes through all)": cell(program, repository, "forget", "day0", "--prune", repeat=1, counted=False),
        }
        columns.append((f"10^{exponent} entries", cells))
        print(columns[-1], flush=True)
        shutil.rmtree(repository)
        shutil.rmtree(out, ignore_errors=True)
    return rows_of("reads", list(columns[0][1]), columns)


def history(program, exponents):
    """A folder of two hundred files, one of which changes before each of so many snapshots."""
    source, repository, out = f"{program.root}/source", f"{program.root}/history", f"{program.root}/out"
    make_tree(source, 200)
    changing = f"{source}/library/000/000000/note.txt"
    columns, taken = [], 0
    while exponents:
        target = 10 ** exponents[0]
        begun, before = time.monotonic(), taken
        while taken < target:
            with open(changing, "a") as note:
                note.write(f"{taken}\n")
            subprocess.run([program.path, "--repo", repository, "-q", "snapshot", "--plain", source], check=True)
            taken += 1
        each = (time.monotonic() - begun) / max(taken - before, 1)
        cells = {
            "one capture while they were taken, on average": f"{each * 1000:.1f} ms",
            "snapshot, nothing changed": cell(program, repository, "snapshot", "--plain", source),
            "list": cell(program, repository, "list"),
            "cat of one file of the latest": cell(program, repository, "cat", "latest:library/000/000001/5.jpg"),
            "diff of the last two": cell(program, repository, "diff", "latest~1", "latest"),
            "restore of the latest": cell(program, repository, "restore", "latest", "--to", out),
            "forget --keep-last 5 --dry-run": cell(program, repository, "forget", "--keep-last", "5", "--dry-run", repeat=1, counted=False),
            "prune (puts small packs together)": cell(program, repository, "prune", repeat=1, counted=False),
            "check of the structure": cell(program, repository, "check", repeat=1, counted=False),
        }
        taken += 4
        columns.append((f"10^{exponents.pop(0)} snapshots", cells))
        print(columns[-1], flush=True)
    return rows_of("history", list(columns[0][1]), columns)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=6, help="the largest power of ten of entries")
    options.add_argument("--snapshots", type=int, default=3, help="the largest power of ten of snapshots")
    options.add_argument("--million", help="a tree of a million files that is there; a hundred of its files are changed and changed back")
    options.add_argument("--dir", default=f"{PROJECT}/.bench/scale")
    options.add_argument("--only", choices=["captures", "reads", "history"])
    options = options.parse_args()
    root = os.path.abspath(options.dir)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    program = Program(root)
    parts = {
        "history": lambda: history(program, list(range(1, options.snapshots + 1))),
        "reads": lambda: readers(program, list(range(4, options.files + 1))),
        "captures": lambda: captures(program, list(range(4, min(options.files, 6) + 1)), options.million),
    }
    page = f"{PROJECT}/docs/scale.md"
    for name, part in parts.items():
        if options.only in (None, name):
            text = "\n".join(part())
            whole = open(page).read()
            begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
            before, _, rest = whole.partition(begin)
            open(page, "w").write(before + begin + text + end + rest.partition(end)[2])
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
