"""The files of a data directory: which there are, how large they are, how often one is a copy of another.

Paths are those of Jellyfin 10.11 and 12: PathManager.cs (trickplay, subtitles and attachments in
data/<kind>/<2 hex>/<guid "D">), BaseItem.GetInternalMetadataPath (metadata/library/<2 hex>/<guid "N">), Person.GetPath
(metadata/People/<X>/<name>).
"""

import json
import os
import zlib

import numpy as np
from pictures import POOLS, png_logo
from text import Text, guid_d, guid_n

EPOCH = 1_780_000_000  # the time that every file is older than (2026-05-28)
DUP = 0.07  # share of pictures that are an exact copy of an earlier one

# name: (mcu width, mcu height, pool quality, low bytes, high bytes)
KIND = {
    "poster": (60, 90, 90, 30_000, 300_000),
    "backdrop": (120, 68, 90, 110_000, 420_000),
    "landscape": (62, 40, 90, 40_000, 170_000),
    "thumb": (40, 24, 90, 15_000, 70_000),
    "people": (25, 40, 90, 10_000, 60_000),
    "chapter": (40, 22, 75, 8_000, 40_000),
    "trickplay": (200, 113, 75, 150_000, 600_000),
    "tiny": (10, 8, 75, 700, 3_600),
}


class Maker:
    def __init__(self, root, seed, shard, nbase):
        self.root, self.seed = root, seed
        self.rng = np.random.default_rng([seed, 5, shard])
        self.text = Text(seed)
        self.pools = POOLS
        self.recent, self.made = {}, set()
        self.files = self.bytes = self.dups = 0

    def write(self, path, data, mtime=None):
        d = os.path.dirname(path)
        if d not in self.made:
            os.makedirs(d, exist_ok=True)
            self.made.add(d)
        with open(path, "wb") as f:
            f.write(data)
        t = EPOCH - int(self.rng.integers(0, 300 * 86400)) if mtime is None else mtime
        ns = t * 10**9 + int(self.rng.integers(0, 10**9))
        os.utime(path, ns=(ns, ns))
        self.files += 1
        self.bytes += len(data)

    def jpeg(self, kind):
        mw, mh, q, lo, hi = KIND[kind]
        r, ring = self.rng, self.recent.setdefault(kind, [])
        if ring and r.random() < DUP:
            self.dups += 1
            return ring[int(r.integers(len(ring)))]
        # log-uniform-ish sizes around the geometric middle
        t = float(np.exp(np.clip(r.normal(0.5, 0.22), 0, 1) * np.log(hi / lo)) * lo)
        data = self.pools[q].make(r, mw, mh, t)
        if len(ring) < 64:
            ring.append(data)
        else:
            ring[int(r.integers(64))] = data
        return data

    def nfo(self, title):
        r, t = self.rng, self.text
        actors = "".join(
            f"  <actor>\n    <name>{t.title(r)}</name>\n    <role>{t.title(r)}</role>\n    <type>Actor</type>\n  </actor>\n"
            for _ in range(int(r.integers(2, 16)))
        )
        return (
            f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Item>\n  <Added>05/28/2026 10:{r.integers(60):02d}:11</Added>\n'
            f"  <LockData>false</LockData>\n  <LocalTitle>{title}</LocalTitle>\n  <Overview>{t.prose(r, int(r.integers(20, 160)))}</Overview>\n"
            f"  <TMDbId>{r.integers(10**6)}</TMDbId>\n{actors}</Item>\n"
        ).encode()

    def srt(self):
        r, t, out, at = self.rng, self.text, [], 1000
        n = int(r.integers(300, 1100))
        ws = t.pick(r, n * 9)
        gaps = r.integers(900, 6000, n).tolist()
        for i in range(n):
            e = at + 1800
            out.append(
                f"{i + 1}\n{at // 3600000:02d}:{at // 60000 % 60:02d}:{at // 1000 % 60:02d},{at % 1000:03d} --> "
                f"{e // 3600000:02d}:{e // 60000 % 60:02d}:{e // 1000 % 60:02d},{e % 1000:03d}\n{' '.join(ws[i * 9 : i * 9 + 9])}\n\n"
            )
            at += gaps[i] + 1800
        return "".join(out).encode()

    # ---- whole items
    def lib(self, n):
        return f"{self.root}/metadata/library/{n[:2]}/{n}"

    def movie(self, logo, landscape, backdrops, trick, subs, chapters, mtime=None):
        n = guid_n(self.rng)
        d = guid_d(n)
        p = self.lib(n)
        self.write(f"{p}/poster.jpg", self.jpeg("poster"), mtime)
        for b in range(backdrops):
            self.write(f"{p}/backdrop{b or ''}.jpg", self.jpeg("backdrop"), mtime)
        if logo:
            self.write(f"{p}/logo.png", png_logo(self.rng), mtime)
        if landscape:
            self.write(f"{p}/landscape.jpg", self.jpeg("landscape"), mtime)
        for c in range(chapters):
            self.write(
                f"{p}/chapters/{638_000_000_000_000_000 + c * 7}_{c * 3_000_000_000}.jpg", self.jpeg("chapter"), mtime
            )
        for s in range(trick):
            self.write(f"{self.root}/data/trickplay/{d[:2]}/{d}/320 - 10x10/{s}.jpg", self.jpeg("trickplay"), mtime)
        for s in range(subs):
            self.write(f"{self.root}/data/subtitles/{d[:2]}/{d}/{s + 2}.srt", self.srt(), mtime)
        return n

    def episode(self, trick, subs, mtime=None):
        n = guid_n(self.rng)
        d = guid_d(n)
        self.write(f"{self.lib(n)}/poster.jpg", self.jpeg("thumb"), mtime)
        for s in range(trick):
            self.write(f"{self.root}/data/trickplay/{d[:2]}/{d}/320 - 10x10/{s}.jpg", self.jpeg("trickplay"), mtime)
        for s in range(subs):
            self.write(f"{self.root}/data/subtitles/{d[:2]}/{d}/{s + 2}.srt", self.srt(), mtime)
        return n

    def person(self, mtime=None):
        name = self.text.title(self.rng) + " " + self.text.pick(self.rng, 1)[0].capitalize()
        p = f"{self.root}/metadata/People/{name[0]}/{name}"
        while p in self.made:
            p += "i"
        self.write(f"{p}/folder.jpg", self.jpeg("people"), mtime)
        if self.rng.random() < 0.12:
            self.write(f"{p}/person.nfo", self.nfo(name), mtime)


def shard_job(a):
    root, seed, shard, nshards, scale, nbase = a
    m = Maker(root, seed, shard, nbase)
    r = m.rng

    def count(x):  # this shard's part of x*scale
        t = int(round(x * scale))
        return t // nshards + (1 if shard < t % nshards else 0)

    for _ in range(count(32_000)):
        m.person()
    for i in range(count(4_800)):
        m.movie(
            logo=i % 3 == 0,
            landscape=i % 2 == 0,
            backdrops=1 + (i % 6 == 0),
            trick=(2 if i % 10 < 6 else 0),
            subs=(i % 2),
            chapters=(8 if i % 9 == 0 else 0),
        )
    for i in range(count(23_000)):
        m.episode(trick=(1 if i % 50 >= 44 else 0), subs=(1 if i % 9 == 0 else 0))
    for i in range(count(1_000)):  # series / seasons: poster + backdrop + banner-like
        m.movie(logo=True, landscape=True, backdrops=2, trick=0, subs=0, chapters=0)
    for i in range(count(420)):  # embedded fonts, many are the same
        d = guid_d(guid_n(r))
        f = np.random.default_rng([seed, 6, int(r.integers(60))])
        nb = int(f.integers(30_000, 250_000))
        body = f.integers(0, 200, nb, dtype=np.uint8)
        body[::3] = 0
        m.write(f"{root}/data/attachments/{d[:2]}/{d}/font{i % 5}.ttf", b"\0\1\0\0" + body.tobytes())
    for i in range(count(900)):
        m.write(f"{root}/metadata/artists/{m.text.title(r)} {shard}{i}/folder.jpg", m.jpeg("people"))
    for i in range(count(900)):
        m.write(f"{root}/metadata/Studio/{m.text.title(r)} {shard}{i}/landscape.jpg", m.jpeg("thumb"))
    for i in range(count(260)):
        m.write(f"{root}/metadata/Genre/{m.text.title(r)} {shard}{i}/folder.jpg", m.jpeg("thumb"))
    for i in range(count(700)):
        t = m.text.title(r)
        m.write(f"{root}/data/collections/{t} {shard}{i} [boxset]/collection.xml", m.nfo(t))
    for i in range(count(500)):
        t = m.text.title(r)
        m.write(f"{root}/data/playlists/{t} {shard}{i}/playlist.xml", m.nfo(t))
    for i in range(count(900)):
        m.write(f"{root}/cache/images/resized-images/{guid_n(r)[0]}/{guid_n(r)}.jpg", m.jpeg("thumb"))
    if shard == 0:
        fixed_files(m)
    return m.files, m.bytes, m.dups


def fixed_files(m):
    R, r, t = m.root, m.rng, m.text
    for n in (
        "system",
        "network",
        "encoding",
        "branding",
        "logging",
        "metadata",
        "migrations",
        "database",
        "livetv",
        "dlna",
    ):
        ext = "json" if n == "logging" else "xml"
        m.write(
            f"{R}/config/{n}.{ext}",
            (
                '<?xml version="1.0"?>\n<Configuration>\n'
                + "".join(f"  <{w.capitalize()}>{r.integers(10**6)}</{w.capitalize()}>\n" for w in t.pick(r, 120))
                + "</Configuration>\n"
            ).encode(),
        )
    for i in range(8):
        m.write(f"{R}/config/users/{guid_n(r)}/profile.jpg", m.jpeg("thumb"))
    for i in range(24):
        g = guid_d(guid_n(r))
        m.write(
            f"{R}/config/ScheduledTasks/{g}.js",
            json.dumps([{"Type": "IntervalTrigger", "IntervalTicks": int(r.integers(10**12))}]).encode(),
        )
        m.write(
            f"{R}/data/ScheduledTasks/{g}.js",
            json.dumps({"StartTimeUtc": "2026-05-28T01:00:00Z", "Status": "Completed", "Key": t.title(r)}).encode(),
        )
    for lib in ("Movies", "Shows", "Music", "Home Videos"):
        m.write(f"{R}/root/default/{lib}/options.xml", m.nfo(lib))
        m.write(f"{R}/root/default/{lib}/{lib.lower()}.mblink", b"/media/" + lib.encode())
        m.write(f"{R}/root/default/{lib}/{lib.lower()}.collection", b"")
    for i in range(6):
        m.write(
            f"{R}/plugins/Plugin{i}_12.0.{i}.0/Plugin{i}.dll",
            b"MZ" + zlib.compress(r.bytes(200_000) + bytes(100_000), 1) + bytes(80_000),
        )
        m.write(
            f"{R}/plugins/Plugin{i}_12.0.{i}.0/meta.json",
            json.dumps({"guid": guid_d(guid_n(r)), "name": f"Plugin{i}", "version": f"12.0.{i}.0"}).encode(),
        )
    for i in range(7):
        lines = [
            f"[2026-05-{21 + i:02d} {h % 24:02d}:{h % 60:02d}:{h % 59:02d}.{h % 999:03d} +00:00] [INF] [{h % 40}] Emby.Server: {' '.join(t.pick(r, 12))}\n"
            for h in range(6000)
        ]
        m.write(f"{R}/log/log_202605{21 + i:02d}.log", "".join(lines).encode())
    m.write(f"{R}/cache/CACHEDIR.TAG.txt", b"not a real tag, so that every tool keeps cache/\n")
    for k in ("config", "data", "log", "cache"):
        m.write(f"{R}/{k}/.jellyfin-{k}", b"")


def many_job(a):
    root, seed, shard, nshards, nfiles, nbase = a
    m = Maker(root, seed, 1000 + shard, nbase)
    r = m.rng
    todo = nfiles // nshards + (1 if shard < nfiles % nshards else 0)
    big = m.text.prose(np.random.default_rng([seed, 3, shard]), 400_000).encode()
    while m.files < todo:
        n = guid_n(r)
        p = m.lib(n)
        for k in range(min(4, todo - m.files)):
            size = int(4096 * r.beta(3.2, 1.1))
            if r.random() < 0.01:
                size = 0
            if k < 2:
                data = m.pools[75].make(r, 10, 8, size - 650) if size else b""
                name = ("poster.jpg", "thumb.jpg")[k]
            else:
                o = int(r.integers(0, len(big) - 5000))
                data = (f'<Item id="{n}">\n'.encode() + big[o : o + size])[:size]
                name = ("item.nfo", "2.srt")[k - 2]
            m.write(f"{p}/{name}", data)
    return m.files, m.bytes, m.dups
