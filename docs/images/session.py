#!/usr/bin/env python3
"""Records a session with jellyvault and draws it: session.txt and session.svg, the picture of the README.

    docs/images/session.py [--check] [JELLYVAULT]

It runs the program (default: target/release/jellyvault) on a copy of tests/fixtures/attic, in a temporary
directory that is shown as /. Ids, times, sizes and durations differ in each run. If nothing else differs, the
recording stays as it is, so the same program gives the same files. With --check it writes nothing, and exits
with 1 if the files are not up to date. It needs Python 3.8 and nothing else.
"""

import html
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURE = HERE.parent.parent / "tests/fixtures/attic"

# What is typed. A line that begins with # is shown as it is, and `change` does what it says.
SESSION = [
    'jellyvault snapshot --label "before 12.1"',
    "# Ana watches two films, somebody replaces a poster and changes a setting",
    "jellyvault snapshot",
    "jellyvault diff latest~1 latest --rows | head -n 9",
    'jellyvault restore latest~1 --item "Distant Garden Chronicles 0 S01E01" poster --in-place',
    "jellyvault check --read-data",
]

CONFIG = """repo = "{root}/mnt/backup/jellyvault"
[server]
data_dir = "{root}/srv/jellyfin"
"""


def change(server):
    """Changes what a server would change: two films watched, a poster replaced, a setting."""
    ana = "4E43CDA4-C12F-455D-AEB8-2F4A712F7B5B"
    late_arrival = "A73E0671-95FA-D309-1583-6B82D66AF89D"
    odon = "FA72C621-4EDB-1C9C-DE15-4DF59D41614F"
    db = sqlite3.connect(server / "data/jellyfin.db")
    db.execute(
        "INSERT INTO UserData (ItemId, UserId, CustomDataKey, IsFavorite, LastPlayedDate, PlayCount,"
        " PlaybackPositionTicks, Played) VALUES (?, ?, ?, 0, '2026-11-30 21:58:12.4417893', 1, 0, 1)",
        (late_arrival, ana, late_arrival.lower()),
    )
    db.execute("UPDATE UserData SET Played = 1 WHERE ItemId = ? AND UserId = ?", (odon, ana))
    db.commit()
    db.close()
    poster = server / "metadata/library/0b/0b6b55851baacee5a4a5813b55440a2c/poster.jpg"
    shutil.copyfile(server / "metadata/library/29/29a68f85f4da845a15faa91b149dab85/poster.jpg", poster)
    system = server / "config/system.xml"
    text = system.read_text()
    system.write_text(text.replace("<LogFileRetentionDays>9<", "<LogFileRetentionDays>3<"))


def record(program):
    """The session as text."""
    with tempfile.TemporaryDirectory() as root:
        root = Path(root).resolve()
        server = root / "srv/jellyfin"
        shutil.copytree(FIXTURE, server)
        (root / "mnt/backup").mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "bin/jellyvault").symlink_to(program)
        (root / "jellyvault.toml").write_text(CONFIG.format(root=root))
        environment = {
            "HOME": str(root),
            "JELLYVAULT_CONFIG": str(root / "jellyvault.toml"),
            "LANG": "C.UTF-8",
            "PATH": f"{root}/bin:/usr/bin:/bin",
            "TZ": "UTC",
        }

        def run(command):
            done = subprocess.run(
                ["sh", "-c", command], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            text = done.stdout.decode()
            if done.returncode != 0:
                sys.exit(f"{command}: exit code {done.returncode}\n{text}")
            return text.replace(str(root), "")

        run("jellyvault init")
        shown = []
        for line in SESSION:
            # A file that was changed at the moment of a snapshot is read again by the next one.
            time.sleep(0.1)
            if line.startswith("#"):
                change(server)
                shown.append(f"$ {line}\n")
            else:
                shown.append(f"$ {line}\n{run(line).rstrip()}\n")
    return "\n".join(shown)


def settled(text):
    """The text without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"[\d.]+ (B|KiB|MiB)\b", "SIZE", text)
    return re.sub(r"\b[\d.]+ (ms|s)\b", "DURATION", text)


CHAR, LINE, PAD, SIZE = 8.4, 20, 20, 14

STYLE = """
  .window { fill: #f6f8fa; stroke: #d0d7de }
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
         fill: #1f2328; white-space: pre }
  .prompt { fill: #0a7d33 }
  .typed { font-weight: 600; fill: #0550ae }
  .comment { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    .window { fill: #161b22; stroke: #3d444d }
    text { fill: #e6edf3 }
    .prompt { fill: #3fb950 }
    .typed { fill: #79c0ff }
    .comment { fill: #9198a1 }
  }
"""


def piece(text, column, y, kind=""):
    """One run of characters. Its length is fixed, so the columns are right in any font."""
    x = PAD + column * CHAR
    kind = f' class="{kind}"' if kind else ""
    return (
        f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * CHAR:.1f}" lengthAdjust="spacingAndGlyphs"'
        f' xml:space="preserve"{kind}>{html.escape(text, quote=False)}</text>'
    )


def draw(text):
    """The session as an SVG."""
    lines = text.rstrip().split("\n")
    width = round(max(len(line) for line in lines) * CHAR + 2 * PAD)
    height = len(lines) * LINE + 2 * PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img">',
        "<title>A session with jellyvault: two snapshots, what changed, a poster restored</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="window" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, line in enumerate(lines):
        y = PAD + number * LINE + SIZE
        if line.startswith("$ "):
            out.append(piece("$", 0, y, "prompt"))
            out.append(piece(line[2:], 2, y, "comment" if line.startswith("$ #") else "typed"))
        elif line.strip():
            indent = len(line) - len(line.lstrip())
            out.append(piece(line.strip(), indent, y))
    return "\n".join(out + ["</svg>", ""])


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    program = Path(arguments[0] if arguments else HERE.parent.parent / "target/release/jellyvault").resolve()
    if not os.access(program, os.X_OK):
        sys.exit(f"There is no program {program}. Build it first, or name one: session.py JELLYVAULT")
    text_file, picture_file = HERE / "session.txt", HERE / "session.svg"
    text = record(program)
    recorded = text_file.read_text() if text_file.exists() else ""
    if settled(text) == settled(recorded):
        text = recorded
    if "--check" in sys.argv:
        if text != recorded or not picture_file.exists() or picture_file.read_text() != draw(recorded):
            sys.exit(f"session.txt or session.svg is not up to date. Run docs/images/session.py. Now it is:\n{text}")
        return
    text_file.write_text(text)
    picture_file.write_text(draw(text))


if __name__ == "__main__":
    main()
