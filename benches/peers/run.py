#!/usr/bin/env python3
"""Runs jellyvault and every installed peer over Jellyfin-like trees, one after another, and writes docs/performance.md's table and plot.

    benches/peers/run.py                        small, all tools that are found
    benches/peers/run.py medium many            these corpora, which are made first (medium: 8.1 GB, many: a million files)
    benches/peers/run.py medium --tools restic,"cp -a"
    benches/peers/run.py medium --cold          with nothing in the page cache (root only)
    benches/peers/run.py small --small-machine  on one core, with 512 MB of memory and a slow disk (root only, cgroup v1)
    benches/peers/run.py --report               only writes the page from the results that are there

All of it happens below --dir (default .bench): corpora, programs, repositories, results.jsonl. Peers are looked for in .bench/bin, then on PATH;
benches/peers/install.sh installs those that can be had. benches/corpus makes the corpora. Times are with everything warm in
the page cache, one run for what takes long, else the median of three, and what the rest of the machine did meanwhile stands beside each.
"""
import argparse, json, os, re, shutil, signal, subprocess, sys, time

from measure import environment, fill, median, run, size_of, touch_memory
from report import write_report
from small_machine import SmallMachine
from tools import COPIES, FIND, TOOLS

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
GENERATOR = os.path.join(os.path.dirname(HERE), "corpus")
# ext4 skips inodes that were freed in the last minute one by one: files are created several times slower meanwhile. Where their tables are not
# written back yet it skips them for five minutes.
REST_SECONDS = {"many": 305, "medium": 305}
REST_SECONDS_ELSE = 62
# So many deleted files make a rest necessary; so much of the disk is kept free.
MANY_FILES = 5000
FREE_BYTES = 28 * 10**9
LONG_SECONDS = 20
# What is measured with nothing in the page cache.
COLD_WORKS = ["nothing changed", "day", "one file", "diff", "list", "floor"]
# Works that read or write all of a corpus, and how much free memory is touched before each: more than they fill. Before all others a gigabyte is.
WHOLE_WORKS = ("first capture", "restore", "export")
ROOM_BYTES = {"many": 8 << 30, "medium": 10 << 30}
ROOM_BYTES_ELSE = 1 << 30


class Bench:
    def __init__(self, options):
        self.root = os.path.abspath(options.dir)
        self.is_cold = options.cold
        self.machine = SmallMachine(self.root) if options.small_machine else None
        # The results of each kind of machine stand in a table of their own.
        self.suffix = " cold" if options.cold else " small machine" if options.small_machine else ""
        for folder in ("bin", "corpus", "scratch", "log"):
            os.makedirs(f"{self.root}/{folder}", exist_ok=True)
        work = f"{self.root}/scratch"
        self.python = f"{self.root}/venv/bin/python"
        self.environment = environment(f"{self.root}/bin", work)
        self.trash = f"{self.root}/trash"
        self.wiped = 0.0
        self.results = f"{self.root}/results.jsonl"

    def build(self):
        """Builds what is measured."""
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=PROJECT, check=True)
        shutil.copy(f"{PROJECT}/target/release/jellyvault", f"{self.root}/bin/jellyvault")
        built = subprocess.run(["cargo", "bench", "--no-run", "--locked", "--quiet", "--bench", "floor", "--message-format=json"], cwd=PROJECT, check=True, capture_output=True, text=True)
        artefacts = (json.loads(line) for line in built.stdout.splitlines())
        shutil.copy(next(a["executable"] for a in artefacts if a.get("executable") and a["target"]["name"] == "floor"), f"{self.root}/bin/floor")

    def make(self, corpora):
        """Makes the corpora that are not there."""
        if not os.path.exists(self.python):
            subprocess.run([sys.executable, "-m", "venv", f"{self.root}/venv"], check=True)
            subprocess.run([self.python, "-m", "pip", "-q", "install", "numpy", "Pillow", "zlib-ng"], check=True)
        for corpus in corpora:
            if not os.path.exists(f"{self.root}/corpus/{corpus}"):
                subprocess.run([self.python, GENERATOR, "make", corpus, f"{self.root}/corpus/{corpus}"], check=True)

    def note(self, corpus, **facts):
        facts["corpus"] = corpus + self.suffix
        facts["at"] = time.strftime("%Y-%m-%d %H:%M")
        with open(self.results, "a") as out:
            out.write(json.dumps(facts) + "\n")
        print(" ".join(f"{name}={value}" for name, value in facts.items() if name not in ("tail", "at") and value is not None), flush=True)

    def wipe(self, *paths):
        for path in filter(os.path.exists, paths):
            files = sum(len(names) for _, _, names in os.walk(path))
            subprocess.run(["rm", "-rf", path], check=True)
            if files >= MANY_FILES:
                self.wiped = time.time()

    def put_away(self, path):
        """Deletes a restored tree later, with others, as long as the disk has room: whoever comes next need not rest."""
        self.cool(path)
        if shutil.disk_usage(self.root).free < FREE_BYTES:
            self.wipe(path, self.trash)
            return
        os.makedirs(self.trash, exist_ok=True)
        os.rename(path, f"{self.trash}/{len(os.listdir(self.trash))}")

    def rest(self, corpus):
        time.sleep(max(0.0, self.wiped + REST_SECONDS.get(corpus, REST_SECONDS_ELSE) - time.time()))

    def warm(self, path):
        if not self.is_cold and not self.machine:
            subprocess.run([f"{self.root}/bin/floor", "read", path], check=True, stdout=subprocess.DEVNULL)

    def forget_cache(self):
        """Empties the page cache and the kernel's caches of names."""
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("3")

    def cool(self, path):
        """Takes the files below a path out of the page cache, which could not hold them beside what is read and what is written."""
        os.sync()
        for folder, _, names in os.walk(path):
            for name in names:
                fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def measure(self, corpus, tool, work, command, repeat=1, cwd=None, repository=None, prepare=lambda: None):
        """Runs a command (a shell line, or what gives one for each run), notes the median; whether it went well."""
        before, runs = (size_of(repository) if repository else None), []
        while len(runs) < repeat and sum(one["wall"] for one in runs) < LONG_SECONDS:
            prepare()
            if not runs:
                touch_memory(ROOM_BYTES.get(corpus, ROOM_BYTES_ELSE) if work in WHOLE_WORKS else ROOM_BYTES_ELSE)
            if self.is_cold:
                self.forget_cache()
            line = command() if callable(command) else command
            runs.append(run(line, self.environment, cwd, f"{self.root}/log/last", self.machine))
            if runs[-1]["code"] not in (0,):
                break
        middle = median(runs)
        failed = next((one for one in runs if one["code"] != 0), None)
        facts = dict(middle if failed is None else failed)
        if failed is None:
            facts.pop("tail")
        sizes = {"bytes_before": before, "bytes": size_of(repository)} if repository else {}
        self.note(corpus=corpus, tool=tool, work=work, runs=len(runs), fastest=min(one["wall"] for one in runs), **facts, **sizes)
        return failed is None


def some_file(source):
    """A picture of an item, by its path in the corpus: always the same."""
    return min(os.path.relpath(os.path.join(folder, name), source) for folder, _, names in os.walk(f"{source}/metadata/library") for name in names)


def floors(bench, corpus, works):
    """The least that the machine needs, and programs that only copy."""
    source, out = f"{bench.root}/corpus/{corpus}", f"{bench.root}/scratch/out"
    bench.wipe(out)
    os.makedirs(out)
    bench.warm(source)
    if bench.is_cold:
        bench.measure(corpus, "find", "nothing changed", fill(FIND, {"S": source}), 3)
    bench.measure(corpus, "floor", "nothing changed", f"floor walk {source}", 3)
    bench.measure(corpus, "floor", "first capture", f"floor store {source} {out}/all")
    bench.measure(corpus, "floor", "check", f"floor verify {out}", 3)
    bench.wipe(out)
    for work, command in (("restore", f"floor copy {source} {out}/copy"), ("export", f"floor zip {source} {out}/all")):
        if work in works:
            os.makedirs(out)
            bench.rest(corpus)
            bench.warm(source)
            bench.measure(corpus, "floor", work, command)
            bench.put_away(out)


def floor_of_diff(bench, corpus, command):
    """The pieces of packs that a diff reads, read and decompressed by a program that knows where they lie. It needs strace."""
    if shutil.which("strace") is None:
        return
    folder, spans = f"{bench.root}/log/calls", f"{bench.root}/log/spans"
    bench.wipe(folder)
    os.makedirs(folder)
    subprocess.run(["bash", "-c", f"strace -ff -y -e trace=pread64 -o {folder}/of {command} > /dev/null"], env=bench.environment, check=True)
    read = re.compile(r"pread64\(\d+<(.*?/packs/.*?)>, .*, (\d+), (\d+)\)")
    calls = (call for thread in sorted(os.listdir(folder)) for call in open(f"{folder}/{thread}", errors="replace"))
    found = [call for call in map(read.search, calls) if call]
    with open(spans, "w") as out:
        out.writelines(f"{call[1]} {call[3]} {call[2]}\n" for call in found)
    bench.measure(corpus, "floor", "diff", f"floor spans {spans}", 3)


def copies(bench, corpus, wanted):
    source, out = f"{bench.root}/corpus/{corpus}", f"{bench.root}/scratch/out"
    for tool, command in COPIES.items():
        if tool not in wanted:
            continue
        bench.wipe(out)
        os.makedirs(out)
        bench.rest(corpus)
        bench.warm(source)
        bench.measure(corpus, tool, "export", fill(command, {"S": source, "D": out, "P": bench.python, "B": HERE}), repository=out)
        bench.put_away(out)


def tool_over(bench, corpus, name, works):
    """One program over one corpus."""
    tool, work = TOOLS[name], f"{bench.root}/scratch"
    source, repository, out, undo = f"{bench.root}/corpus/{corpus}", f"{work}/repository", f"{work}/out", f"{bench.root}/undo"
    bench.wipe(work)
    for folder in ("home", "cache", "borg"):
        os.makedirs(f"{work}/{folder}")
    values = {"R": repository, "S": source, "D": out, "W": work, "n": 0}
    ask = lambda what: subprocess.run(["bash", "-c", fill(tool[what], values)], env=bench.environment, capture_output=True, text=True, check=True).stdout
    if "prepare" in tool:
        ask("prepare")
    ask("init")

    def snapshot(label, repeat=1):
        def prepare():
            values["n"] += 1
            bench.warm(source)

        return bench.measure(corpus, name, label, lambda: fill(tool["snapshot"], values), repeat, repository=repository, prepare=prepare)

    if not snapshot("first capture"):
        return
    if "nothing changed" in works:
        snapshot("nothing changed", 3)
    is_changed = "day" in works
    try:
        if is_changed:
            bench.wipe(undo)
            subprocess.run([bench.python, GENERATOR, "day", source, undo], check=True)
            snapshot("a day's change")
        ids = ask("ids").split()
        values.update(first=ids[0], last=ids[-1], olds=" ".join(ids[:-1]))
        if "restore" in works:
            os.makedirs(out)
            bench.cool(source)
            bench.rest(corpus)
            bench.warm(repository)
            bench.measure(corpus, name, "restore", fill(tool["restore"], values), cwd=out)
            bench.put_away(out)
        if "one file" in works and tool.get("one"):
            os.makedirs(out)
            values["F"] = some_file(source)
            bench.measure(corpus, name, "one file", fill(tool["one"], values), cwd=out)
            bench.wipe(out)
        if "export" in works and tool.get("export"):
            os.makedirs(out)
            bench.rest("one file")
            bench.measure(corpus, name, "export", fill(tool["export"], values), repository=out)
            bench.wipe(out)
        for label, repeat in (("diff", 3), ("list", 3), ("check", 3)):
            if label in works and tool.get(label):
                bench.measure(corpus, name, label, fill(tool[label], values), repeat)
                if (name, label) == ("jellyvault", "diff") and "floor" in works:
                    floor_of_diff(bench, corpus, fill(tool[label], values))
        if "forget" in works:
            bench.measure(corpus, name, "forget + prune", fill(tool["forget"], values), repository=repository)
    finally:
        if is_changed:
            subprocess.run([bench.python, GENERATOR, "undo", source, undo], check=True)
        bench.wipe(work)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpora", nargs="*", default=[])
    options.add_argument("--dir", default=f"{PROJECT}/.bench")
    options.add_argument("--tools", help="names, with commas between them; without it all that are installed")
    options.add_argument("--works", help="first capture is always done; of: nothing changed, day, restore, export, diff, list, check, forget, floor")
    options.add_argument("--cold", action="store_true", help="empty the page cache before each run")
    options.add_argument("--small-machine", action="store_true", help="one core, 512 MB of memory, 100 reads and writes and 50 MB a second")
    options.add_argument("--built", action="store_true", help="take the programs in the directory's bin as they are")
    options.add_argument("--report", action="store_true", help="write the page only")
    options = options.parse_args()
    # Ended from outside, it still takes back what it changed in a corpus.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options)
    corpora = options.corpora or ([] if options.report else ["small"])
    if options.cold and not options.works:
        options.works = ",".join(COLD_WORKS)
    all_works = ["nothing changed", "day", "restore", "export", "diff", "list", "check", "forget", "floor"]
    works = options.works.split(",") if options.works else all_works
    if corpora and not options.built:
        bench.build()
    if corpora:
        bench.make(corpora)
    found = lambda name: shutil.which(TOOLS[name]["version"].split()[0], path=bench.environment["PATH"]) is not None
    wanted = options.tools.split(",") if options.tools else [*filter(found, TOOLS), *COPIES]
    bench.wipe(bench.trash)
    for corpus in corpora:
        if "floor" in works:
            floors(bench, corpus, works)
        # What budgets are held against lies next to what is held.
        if "export" in works:
            copies(bench, corpus, [tool for tool in wanted if tool == "cp -a"])
        for name in [name for name in TOOLS if name in wanted]:
            version = subprocess.run(["bash", "-c", TOOLS[name]["version"]], env=bench.environment, capture_output=True, text=True).stdout.strip().splitlines()
            bench.note(corpus=corpus, tool=name, work="version", text=version[0] if version else "unknown")
            try:
                tool_over(bench, corpus, name, works)
            except (subprocess.CalledProcessError, IndexError) as error:
                bench.note(corpus=corpus, tool=name, work="failed", text=repr(error)[:300])
        if "export" in works:
            copies(bench, corpus, [tool for tool in wanted if tool != "cp -a"])
    bench.wipe(bench.trash)
    write_report(bench.results, f"{PROJECT}/docs")


if __name__ == "__main__":
    main()
