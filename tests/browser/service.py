"""A server of the fixtures, a service over it, and a browser."""

import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/debug/jellyvault"
PASSWORD = "correct horse"
FILM = "metadata/library/11/11faabb81f9dcd6ad0913dc529c1f927"


class Service:
    """One real program over a copy of the fixture `attic`, in a directory of its own."""

    def __init__(self, snapshots=True, password=True):
        self.dir = tempfile.TemporaryDirectory(prefix="jellyvault-browser-")
        self.home = pathlib.Path(self.dir.name)
        self.data, self.repo = self.home / "jellyfin", self.home / "repository"
        shutil.copytree(ROOT / "tests/fixtures/attic", self.data, symlinks=True)
        config = self.home / ".config/jellyvault/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[server]\ndata_dir = "{self.data}"\n[snapshot]\nevery = "62d"\n[retention]\nenabled = false\n[check]\nenabled = false\n'
            '[web]\nlisten = "127.0.0.1:0"\n'
        )
        self.process = None
        if snapshots:
            self.cli("snapshot", "--label", "before the upgrade")
            self.change()
            self.cli("snapshot")
        if password:
            self.cli("web", "password", input=PASSWORD + "\n")
        self.start()

    def environment(self):
        keep = {name: os.environ[name] for name in ["PATH"] if name in os.environ}
        return keep | {"HOME": str(self.home), "JELLYVAULT_REPO": str(self.repo), "TZ": "UTC"}

    def cli(self, *arguments, input=None):
        """Runs the program; its standard output. 3 is done with problems."""
        done = subprocess.run([PROGRAM, *arguments], env=self.environment(), input=input, capture_output=True, text=True)
        assert done.returncode in (0, 3), (arguments, done)
        return done.stdout

    def change(self):
        """Somebody watches three films, and a poster becomes another."""
        time.sleep(0.05)
        database = sqlite3.connect(self.data / "data/jellyfin.db")
        database.execute("UPDATE UserData SET Played = 1, PlayCount = 3 WHERE rowid IN (SELECT rowid FROM UserData LIMIT 3)")
        database.commit()
        database.close()
        others = sorted(path for path in (self.data / "metadata/library").glob("*/*/poster.jpg") if FILM not in str(path))
        shutil.copyfile(others[0], self.data / FILM / "poster.jpg")

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "serve"], env=self.environment(), stderr=subprocess.PIPE, text=True)
        self.said = ""
        while "http://" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.link = re.search(r"http://\S+", self.said).group()
        self.address = re.match(r"http://[^/]+", self.link).group()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.dir.cleanup()


def files(folder):
    """Every file below a folder with its bytes, but the databases' own short-lived files."""
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {path: data for path, data in found.items() if not str(path).endswith(("-wal", "-shm", "-journal"))}
