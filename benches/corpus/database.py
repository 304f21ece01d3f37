"""A jellyfin.db with the tables and indices that make up most of a real one."""

import json
import os
import sqlite3

import numpy as np
from files import EPOCH
from text import Text, guid_d, guid_n

SCHEMA = """
CREATE TABLE BaseItems(Id TEXT PRIMARY KEY, Type TEXT, Data TEXT, Path TEXT, ParentId TEXT, TopParentId TEXT, SeriesId TEXT, SeasonId TEXT,
 Name TEXT, SortName TEXT, CleanName TEXT, PresentationUniqueKey TEXT, Overview TEXT, Tagline TEXT, Genres TEXT, Studios TEXT, Tags TEXT,
 SeriesName TEXT, MediaType TEXT, CommunityRating REAL, OfficialRating TEXT, ProductionYear INT, IndexNumber INT, ParentIndexNumber INT,
 RunTimeTicks INT, Size INT, Width INT, Height INT, IsFolder INT, IsVirtualItem INT, DateCreated TEXT, DateModified TEXT, DateLastRefreshed TEXT, DateLastSaved TEXT);
CREATE INDEX IX_BaseItems_Path ON BaseItems(Path); CREATE INDEX IX_BaseItems_ParentId ON BaseItems(ParentId);
CREATE INDEX IX_BaseItems_PUK ON BaseItems(PresentationUniqueKey); CREATE INDEX IX_BaseItems_TopSort ON BaseItems(Type,TopParentId,SortName);
CREATE INDEX IX_BaseItems_TopDate ON BaseItems(TopParentId,MediaType,IsVirtualItem,DateCreated); CREATE INDEX IX_BaseItems_Name ON BaseItems(Name);
CREATE TABLE BaseItemImageInfos(Id TEXT PRIMARY KEY, ItemId TEXT, Path TEXT, DateModified TEXT, ImageType INT, Width INT, Height INT, Blurhash BLOB);
CREATE INDEX IX_Img ON BaseItemImageInfos(ItemId, ImageType);
CREATE TABLE BaseItemProviders(ItemId TEXT, ProviderId TEXT, ProviderValue TEXT, PRIMARY KEY(ItemId,ProviderId)); CREATE INDEX IX_Prov ON BaseItemProviders(ProviderId,ProviderValue,ItemId);
CREATE TABLE UserData(ItemId TEXT, UserId TEXT, CustomDataKey TEXT, PlayCount INT, Played INT, IsFavorite INT, PlaybackPositionTicks INT, LastPlayedDate TEXT, PRIMARY KEY(ItemId,UserId,CustomDataKey));
CREATE TABLE MediaStreamInfos(ItemId TEXT, StreamIndex INT, StreamType INT, Codec TEXT, Language TEXT, ChannelLayout TEXT, Profile TEXT, Path TEXT, BitRate INT, Width INT, Height INT, AverageFrameRate REAL, PixelFormat TEXT, Title TEXT, TimeBase TEXT, CodecTag TEXT, PRIMARY KEY(ItemId,StreamIndex));
CREATE TABLE Peoples(Id TEXT PRIMARY KEY, Name TEXT, PersonType TEXT); CREATE INDEX IX_PName ON Peoples(Name);
CREATE TABLE PeopleBaseItemMap(ItemId TEXT, PeopleId TEXT, Role TEXT, SortOrder INT, ListOrder INT, PRIMARY KEY(ItemId,PeopleId,Role));
CREATE INDEX IX_PMap ON PeopleBaseItemMap(PeopleId, ItemId); CREATE INDEX IX_PMap2 ON PeopleBaseItemMap(ItemId, ListOrder);
CREATE TABLE ItemValues(ItemValueId TEXT PRIMARY KEY, Type INT, Value TEXT, CleanValue TEXT); CREATE TABLE ItemValuesMap(ItemValueId TEXT, ItemId TEXT, PRIMARY KEY(ItemValueId,ItemId)); CREATE INDEX IX_IVM ON ItemValuesMap(ItemId);
CREATE TABLE AncestorIds(ItemId TEXT, ParentItemId TEXT, PRIMARY KEY(ItemId,ParentItemId)); CREATE INDEX IX_Anc ON AncestorIds(ParentItemId);
CREATE TABLE Chapters(ItemId TEXT, ChapterIndex INT, StartPositionTicks INT, Name TEXT, ImagePath TEXT, ImageDateModified TEXT, PRIMARY KEY(ItemId,ChapterIndex));
CREATE TABLE TrickplayInfos(ItemId TEXT, Width INT, Height INT, TileWidth INT, TileHeight INT, ThumbnailCount INT, Interval INT, Bandwidth INT, PRIMARY KEY(ItemId,Width));
CREATE TABLE KeyframeData(ItemId TEXT PRIMARY KEY, TotalDuration INT, KeyframeTicks TEXT);
CREATE TABLE ActivityLogs(Id INTEGER PRIMARY KEY, Name TEXT, Overview TEXT, Type TEXT, UserId TEXT, DateCreated TEXT, LogSeverity INT); CREATE INDEX IX_Act ON ActivityLogs(DateCreated);
CREATE TABLE Users(Id TEXT PRIMARY KEY, Username TEXT, Password TEXT);
"""


def date(r):
    return f"2026-{r.integers(1, 6):02d}-{r.integers(1, 28):02d} {r.integers(24):02d}:{r.integers(60):02d}:{r.integers(60):02d}.{r.integers(10**7):07d}"


def item_rows(r, t, n, people, parent, users):
    G = guid_d(n).upper()
    kind = int(r.integers(3))
    title = t.title(r)
    typ = (
        "MediaBrowser.Controller.Entities.TV.Episode",
        "MediaBrowser.Controller.Entities.Movies.Movie",
        "MediaBrowser.Controller.Entities.TV.Episode",
    )[kind]
    path = f"/media/{'movies' if kind == 1 else 'shows'}/{title} ({1950 + int(r.integers(76))})/{title} - {r.integers(20)}x{r.integers(30)} [Bluray-1080p].mkv"
    data = json.dumps(
        {
            "Id": n,
            "Name": title,
            "Path": path,
            "RemoteTrailers": [f"https://www.youtube.com/watch?v={r.bytes(6).hex()}"],
            "ProviderIds": {"Tmdb": str(r.integers(10**6)), "Imdb": f"tt{r.integers(10**7):07d}"},
            "Container": "mkv",
            "DateLastSaved": date(r),
            "ImageInfos": [{"Path": f"/config/metadata/library/{n[:2]}/{n}/poster.jpg", "Type": "Primary"}],
            "LockedFields": [],
            "Audio": None,
            "ExtraIds": [],
            "Tags": t.pick(r, int(r.integers(0, 9))),
        }
    )
    base = (
        G,
        typ,
        data,
        path,
        parent,
        parent,
        None,
        None,
        title,
        title.lower(),
        title.lower(),
        n,
        t.prose(r, int(r.integers(30, 120))),
        t.prose(r, 6),
        "|".join(t.pick(r, 3)),
        "|".join(t.pick(r, 2)),
        None,
        t.title(r),
        "Video",
        float(r.integers(100)) / 10,
        "PG-13",
        1950 + int(r.integers(76)),
        int(r.integers(30)),
        int(r.integers(20)),
        int(r.integers(10**11)),
        int(r.integers(10**10)),
        1920,
        1080,
        0,
        0,
        date(r),
        date(r),
        date(r),
        date(r),
    )
    imgs = [
        (
            guid_d(guid_n(r)).upper(),
            G,
            f"%MetadataPath%/library/{n[:2]}/{n}/{k}.jpg",
            date(r),
            i,
            1000,
            1500,
            r.bytes(30),
        )
        for i, k in enumerate(("poster", "backdrop"))
    ]
    prov = [
        (G, "Tmdb", str(r.integers(10**7))),
        (G, "Imdb", f"tt{r.integers(10**8):08d}"),
        (G, "Tvdb", str(r.integers(10**7))),
    ]
    ud = [
        (G, u, n, int(r.integers(3)), int(r.integers(2)), 0, int(r.integers(10**10)), date(r))
        for u in users
        if r.random() < 0.35
    ]
    ms = [
        (
            G,
            i,
            (1, 0, 0, 2)[i],
            ("h264", "eac3", "aac", "subrip")[i],
            "eng",
            "5.1",
            "High",
            None,
            int(r.integers(10**7)),
            1920,
            1080,
            23.976,
            "yuv420p",
            t.title(r),
            "1/1000",
            "",
        )
        for i in range(2 + int(r.integers(3)))
    ]
    pm = [
        (G, people[int(j)], t.title(r), i, i)
        for i, j in enumerate(np.unique(r.integers(0, len(people), int(r.integers(4, 16)))))
    ]
    ch = [(G, i, i * 3_000_000_000, f"Chapter {i + 1}", None, None) for i in range(int(r.integers(0, 14)))]
    kf = (
        G,
        int(r.integers(10**11)),
        json.dumps(np.cumsum(r.integers(5 * 10**6, 10**8, int(r.integers(20, 120)))).tolist()),
    )
    return base, imgs, prov, ud, ms, pm, ch, kf


def make_db(root, seed, mb):
    r = np.random.default_rng([seed, 9])
    t = Text(seed)
    p = f"{root}/data/jellyfin.db"
    os.makedirs(os.path.dirname(p), exist_ok=True)
    c = sqlite3.connect(p)
    c.execute("PRAGMA page_size=4096")
    c.execute("PRAGMA journal_mode=WAL")
    c.execute("PRAGMA synchronous=OFF")
    c.executescript(SCHEMA)
    people = [guid_d(guid_n(r)).upper() for _ in range(max(500, 300 * mb))]
    c.executemany("INSERT INTO Peoples VALUES(?,?,?)", [(g, t.title(r), "Actor") for g in people])
    users = [guid_d(guid_n(r)).upper() for _ in range(6)]
    parents = [guid_d(guid_n(r)).upper() for _ in range(40)]
    values = [guid_d(guid_n(r)).upper() for _ in range(800)]
    c.executemany("INSERT INTO ItemValues VALUES(?,?,?,?)", [(g, 2, w := t.title(r), w.lower()) for g in values])
    c.executemany("INSERT INTO Users VALUES(?,?,?)", [(u, t.title(r), r.bytes(32).hex()) for u in users])
    n = 0
    while os.path.getsize(p) + (os.path.getsize(p + "-wal") if os.path.exists(p + "-wal") else 0) < mb * 2**20:
        insert_items(c, r, t, [guid_n(r) for _ in range(500)], people, parents, users, values)
        n += 500
        c.commit()
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.executemany(
        "INSERT INTO ActivityLogs(Name,Overview,Type,UserId,DateCreated,LogSeverity) VALUES(?,?,?,?,?,2)",
        [(t.title(r), t.prose(r, 12), "VideoPlayback", users[int(r.integers(6))], date(r)) for _ in range(60 * mb)],
    )
    c.commit()
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.close()
    os.utime(p, (EPOCH, EPOCH))
    return n


def insert_items(c, r, t, guids, people, parents, users, values):
    cols = [[] for _ in range(8)]
    for g in guids:
        for k, v in enumerate(item_rows(r, t, g, people, parents[int(r.integers(len(parents)))], users)):
            (cols[k].append if k in (0, 7) else cols[k].extend)(v)
    for name, k, n in (
        ("BaseItems", 0, 34),
        ("BaseItemImageInfos", 1, 8),
        ("BaseItemProviders", 2, 3),
        ("UserData", 3, 8),
        ("MediaStreamInfos", 4, 16),
        ("PeopleBaseItemMap", 5, 5),
        ("Chapters", 6, 6),
        ("KeyframeData", 7, 3),
    ):
        c.executemany(f"INSERT OR IGNORE INTO {name} VALUES({','.join('?' * n)})", cols[k])
    G = [b[0] for b in cols[0]]
    c.executemany(
        "INSERT OR IGNORE INTO ItemValuesMap VALUES(?,?)",
        [(values[int(r.integers(len(values)))], g) for g in G for _ in range(3)],
    )
    c.executemany("INSERT OR IGNORE INTO AncestorIds VALUES(?,?)", [(b[0], b[4]) for b in cols[0]])
    c.executemany(
        "INSERT OR IGNORE INTO TrickplayInfos VALUES(?,320,180,10,10,?,10000,?)",
        [(g, int(r.integers(100, 900)), int(r.integers(10**5))) for g in G[::3]],
    )
