#!/usr/bin/env python3
"""Many browsers at once on a large repository, while snapshots are taken. Writes the table of docs/web.md, "Load".

    benches/load.py [--snapshots 1000] [--files 100000] [--browsers 50] [--seconds 60] [--program PATH] [--home DIR]

It takes some 15 minutes. The server is made of the fixture `attic` and so many small files; between two snapshots somebody watches something, and a picture
changes. Each browser asks for a page chosen at random, waits a second, and asks for the next. `--home` keeps what was made, and uses it again.
"""
import argparse, http.client, os, random, re, shutil, sqlite3, statistics, subprocess, sys, tempfile, threading, time, urllib.parse

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSWORD = "correct horse"
ITEM = "11faabb81f9dcd6ad0913dc529c1f927"
THINK = 1.0
PAGES = [
    "/", "/snapshots", "/snapshots?q=ana&changes=1", "/snapshots/latest", "/snapshots/{any}", "/snapshots/latest/browse/metadata/library",
    "/snapshots/{any}/browse/metadata/more/000", "/compare/{before}/{any}", "/library", "/library?q=crimson", f"/library/{ITEM}", "/restore", "/jobs",
    "/health", "/settings", "/settings/retention", "/api/v1/status", "/api/v1/snapshots", f"/snapshots/latest/picture/metadata/library/11/{ITEM}/poster.jpg", "{small}",
]


class Home:
    """A server, its repository, and the program over them."""

    def __init__(self, directory, program):
        self.directory, self.program = directory, program
        self.data, self.repository = f"{directory}/jellyfin", f"{directory}/repository"
        self.environment = {"PATH": os.environ["PATH"], "HOME": directory, "JELLYVAULT_REPO": self.repository, "TZ": "UTC"}

    def run(self, *arguments, told=None):
        done = subprocess.run([self.program, *arguments], env=self.environment, input=told, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            sys.exit(f"{arguments}: {done.stderr}")
        return done.stdout

    def make(self, files, snapshots):
        if not os.path.exists(self.data):
            shutil.copytree(f"{PROJECT}/tests/fixtures/attic", self.data, symlinks=True)
            for number in range(files):
                folder = f"{self.data}/metadata/more/{number // 1000:03}"
                if number % 1000 == 0:
                    os.makedirs(folder)
                with open(f"{folder}/{number % 1000}.jpg", "wb") as out:
                    out.write(b"\xff\xd8\xff" + number.to_bytes(8, "little") * 12)
            os.makedirs(f"{self.directory}/.config/jellyvault", exist_ok=True)
            off = "".join(f"[{job}]\nenabled = false\n" for job in ["snapshot", "retention", "check", "drill", "report"])
            with open(f"{self.directory}/.config/jellyvault/config.toml", "w") as out:
                out.write(f'[server]\ndata_dir = "{self.data}"\n{off}[web]\nlisten = "127.0.0.1:0"\n')
        while (taken := len(self.ids())) < snapshots:
            self.change(taken)
            self.run("-q", "snapshot")
        self.run("-q", "web", "password", told=PASSWORD + "\n")

    def change(self, number):
        database = sqlite3.connect(f"{self.data}/data/jellyfin.db")
        database.execute("UPDATE UserData SET Played = 1, PlayCount = ? WHERE rowid = (SELECT rowid FROM UserData LIMIT 1 OFFSET ?)", (number, number % 5))
        database.commit()
        database.close()
        with open(f"{self.data}/metadata/more/000/{number % 1000}.jpg", "ab") as out:
            out.write(b"x")

    def ids(self):
        if not os.path.exists(self.repository):
            return []
        folder = f"{self.repository}/snapshots"
        return [name for name in os.listdir(folder) if not name.startswith(".")] if os.path.isdir(folder) else []

    def capture(self, number):
        self.change(number)
        begun = time.monotonic()
        self.run("-q", "snapshot")
        return time.monotonic() - begun


class Service:
    """`serve`, and a session on it."""

    def __init__(self, home):
        self.process = subprocess.Popen([home.program, "serve"], env=home.environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"Web page: http://([0-9.]+):([0-9]+)", line):
                self.address = (found[1], int(found[2]))
                break
        else:
            sys.exit("the service has no page")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        answer = self.ask("POST", "/login", urllib.parse.urlencode({"password": PASSWORD}), {})
        self.cookie = answer[1].split(";")[0]

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        origin = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"} if body else {}
        connection.request(method, path, body, origin | (headers if headers is not None else {"Cookie": self.cookie}))
        answer = connection.getresponse()
        self.last = answer.read()
        connection.close()
        return answer.status, answer.headers.get("set-cookie") or ""

    def memory(self, which):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(which):
                return int(line.split()[1]) / 1024

    def switches(self):
        """How often its threads woke up."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            for line in open(f"/proc/{self.process.pid}/task/{thread}/status"):
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total


def browse(service, pages, until, times, failures, is_elsewhere):
    if is_elsewhere:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    while time.monotonic() < until:
        kind, path = pages()
        begun = time.monotonic()
        try:
            status, _ = service.ask("GET", path)
        except OSError as error:
            status = str(error)
        if status == 200:
            times.setdefault(kind, []).append(time.monotonic() - begun)
        else:
            failures.append(f"{path}: {status}")
        time.sleep(THINK * random.uniform(0.5, 1.5))


def main():
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in [("snapshots", 1000), ("files", 100_000), ("browsers", 50), ("seconds", 60)]:
        given.add_argument(f"--{name}", type=int, default=usual)
    given.add_argument("--program")
    given.add_argument("--home")
    given = given.parse_args()
    if not given.program:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=PROJECT, check=True)
    with tempfile.TemporaryDirectory() as directory:
        home = Home(given.home or directory, given.program or f"{PROJECT}/target/release/jellyvault")
        os.makedirs(home.directory, exist_ok=True)
        home.make(given.files, given.snapshots)
        ids = re.findall(r'"id": ?"([0-9a-f]{20,})"', home.run("--json", "list"))
        alone = statistics.median(home.capture(number) for number in range(5))
        service = Service(home)
        time.sleep(20)
        idle, before = service.memory("VmRSS"), service.switches()
        time.sleep(20)
        woken = (service.switches() - before) / 20

        service.ask("GET", "/library")
        small = re.findall(r"/pictures/[0-9]+/[0-9a-f-]+", service.last.decode())

        def page():
            kind = random.choice(PAGES)
            at = random.randrange(1, len(ids))
            return kind, kind.format(any=ids[at], before=ids[at - 1], small=random.choice(small))

        def crowd(times, failures, is_elsewhere):
            until, captures = time.monotonic() + given.seconds, []
            browsers = [threading.Thread(target=browse, args=(service, page, until, times, failures, is_elsewhere)) for _ in range(given.browsers)]
            for browser in browsers:
                browser.start()
            while time.monotonic() < until - 2:
                captures.append(home.capture(len(captures)))
                time.sleep(2)
            for browser in browsers:
                browser.join()
            return statistics.median(captures)

        times, failures = {}, []
        beside = crowd(times, failures, False)
        # Real browsers use no processor of the server: here they take only what nobody else wants.
        elsewhere = crowd({}, failures, True)
        print(f"{len(ids)} snapshots, {given.files:,} files, {given.browsers} browsers, {given.seconds} s\n")
        print("| page | requests | median | 95 of 100 |\n| --- | --- | --- | --- |")
        for kind in sorted(times, key=PAGES.index):
            found = sorted(times[kind])
            print(f"| `{kind}` | {len(found)} | {found[len(found) // 2] * 1000:.0f} ms | {found[len(found) * 95 // 100] * 1000:.0f} ms |")
        print(f"\nfailures: {len(failures)} {failures[:3]}")
        print(f"memory: idle {idle:.0f} MiB, at most {service.memory('VmHWM'):.0f} MiB; threads that woke up while idle: {woken:.1f} a second")
        print(f"a snapshot: {alone:.2f} s alone, {beside:.2f} s meanwhile ({beside / alone:.2f} times), {elsewhere:.2f} s beside browsers of the lowest priority ({elsewhere / alone:.2f} times)")
        service.process.terminate()
        service.process.wait()


if __name__ == "__main__":
    main()
