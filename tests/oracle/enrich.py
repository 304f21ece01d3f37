#!/usr/bin/env python3
"""Add what the fixtures lack to a tree of the fixtures: enrich.py TREE

A season without a folder, versions, a trailer in the metadata directory, lists of ids in texts, an id that no formula
gives, settings with paths, odd XML. The ids of the new rows come from the formula. Needs the Docker layout.
"""

import json
import os
import sys
from pathlib import Path

import moving_oracle as oracle

DIRS = oracle.with_defaults({"programdata": "/config"})
MOVIE, TRAILER, EPISODE = (oracle.ENTITIES + name for name in ("Movies.Movie", "Trailer", "TV.Episode"))


class Writer:
    def __init__(self, tree):
        self.tree = Path(tree)
        self.database = oracle.connect(self.tree / "data/jellyfin.db")
        self.formula = oracle.Formula(DIRS, oracle.Settings(tree))

    def insert(self, table, **values):
        """Insert a row; columns that must not be empty and are not given get 0 or an empty text."""
        for _, name, kind, needed, default, key in self.database.execute(f'PRAGMA table_info("{table}")').fetchall():
            if needed and name not in values and default is None and not (key and kind == "INTEGER"):
                values[name] = "" if kind == "TEXT" else 0
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self.database.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(values.values()))

    def item(self, type_name, path, id_=None, **values):
        """Insert an item and return its plain id."""
        id_ = id_ or oracle.formula(type_name, self.cased(type_name, self.formula.path_key(path)))
        self.insert("BaseItems", Id=upper(id_), Type=type_name, Path=path, PresentationUniqueKey=id_, **values)
        return id_

    def cased(self, type_name, key):
        return self.formula.cased(type_name, [key])[-1]

    def one(self, query):
        return self.database.execute(query).fetchone()[0]


def upper(id_):
    return oracle.dashed(id_).upper()


def add_seasons(writer):
    series = oracle.plain(writer.one("SELECT Id FROM BaseItems WHERE Type LIKE '%TV.Series'"))
    for index, name in ((None, "Season Unknown"), (7, "Staffel 7 “ÄÖ”"), (0, "Specials")):
        key = f"{oracle.dashed(series)}{-1 if index is None else index}{name}"
        season = oracle.formula(oracle.SEASON, writer.cased(oracle.SEASON, key))
        writer.item(oracle.SEASON, None, season, Name=name, IndexNumber=index, SeriesId=upper(series),
                    ParentId=upper(series), SeriesPresentationUniqueKey=series)
        path = f"/media/shows/Loose/Loose S0{index}E01 {name[:3]}.mkv"
        episode = writer.item(EPISODE, path, SeasonId=upper(season), SeriesId=upper(series), ParentId=upper(series))
        writer.insert("AncestorIds", ItemId=upper(episode), ParentItemId=upper(season))
        user = writer.one("SELECT Id FROM Users LIMIT 1")
        writer.insert("UserData", ItemId=upper(episode), UserId=user,
                      CustomDataKey=f"{oracle.dashed(series)}00{index or 0}001{name[:3]}")


def add_versions(writer):
    first = writer.item(MOVIE, "/media/movies/Two/Two.mkv")
    second_path = "/media/movies/Two/Two - 4K & <more>.mkv"
    owner = {"PrimaryVersionId": first} if has_column(writer, "ExtraIds") else {"PrimaryVersionId": upper(first)}
    second = writer.item(MOVIE, second_path, **owner)
    subtitle = f"/config/metadata/library/{first[:2]}/{first}/Two.de.srt"
    data = {"LocalAlternateVersions": [second_path], "AdditionalParts": ["/media/movies/Two/Two-part2.mkv"],
            "LinkedAlternateVersions": [{"Path": second_path, "Type": "Manual", "ItemId": second}],
            "SubtitleFiles": [subtitle, "/media/movies/Two/Two.en.srt"], "AudioFiles": ["/media2/a.ac3"],
            "Size": 12345678901234, "Rating": 1.50, "Mixed": f"{first},{second}|{oracle.dashed(first)}"}
    writer.database.execute("UPDATE BaseItems SET Data = ? WHERE Id = ?", [json.dumps(data), upper(first)])
    writer.insert("MediaStreamInfos", ItemId=upper(first), StreamIndex=3, StreamType=2,
                  Path=f"%MetadataPath%/library/{first[:2]}/{first}/Two.de.srt")
    writer.insert("MediaStreamInfos", ItemId=upper(first), StreamIndex=4, StreamType=2,
                  Path="/media/movies/Two/Two.en.srt")
    put(writer.tree / f"metadata/library/{first[:2]}/{first}/Two.de.srt", "1\n")
    for id_ in (first, second):
        for folder in ("trickplay", "subtitles", "attachments"):
            put(writer.tree / f"data/{folder}/{id_[:2]}/{oracle.dashed(id_)}/0.jpg", f"{folder} {id_}")
    trailer = f"/config/metadata/library/{first[:2]}/{first}/trailers/one.mkv"
    extra = {"OwnerId": upper(first)}
    if has_column(writer, "ExtraIds"):
        extra = {"OwnerId": oracle.dashed(first), "ExtraIds": f"{second}|{oracle.dashed(first)}"}
    writer.item(TRAILER, trailer, **extra)
    put(writer.tree / f"metadata/library/{first[:2]}/{first}/trailers/one.mkv", "trailer")
    return first, second


def has_column(writer, name):
    return name in oracle.columns(writer.database, "BaseItems")


def add_references(writer, first, second):
    user = writer.one("SELECT Id FROM Users LIMIT 1")
    writer.insert("ActivityLogs", Name="played", Type="VideoPlayback", UserId=user, ItemId=first,
                  DateCreated="2026-01-01 00:00:00")
    writer.insert("MediaSegments", Id=upper("f" * 32), ItemId=upper(first))
    writer.insert("KeyframeData", ItemId=upper(first), KeyframeTicks="[1,2,3]")
    writer.insert("BaseItemProviders", ItemId=upper(second), ProviderId="Imdb", ProviderValue="tt1")
    writer.insert("CustomItemDisplayPreferences", UserId=user, ItemId=upper(second), Client="emby",
                  Key=f"items-{first}-sort", Value=oracle.dashed(second))
    writer.database.execute("UPDATE Preferences SET Value = ? WHERE Id = (SELECT max(Id) FROM Preferences)",
                            [f"{oracle.dashed(first)},{oracle.dashed(second)}|{upper(first)}"])
    if "LinkedChildren" in oracle.tables(writer.database):
        writer.insert("LinkedChildren", ParentId=upper(first), ChildId=upper(second), SortOrder=0, ChildType=2)


def add_odd_items(writer):
    writer.item(MOVIE, "/media/movies/odd id.mkv", "abcdefabcdefabcdefabcdefabcdefab")
    writer.item(MOVIE, "/media", None)
    writer.item(MOVIE, "/media2/İstanbul ΣΑΣ 𐐀.mkv", None)
    writer.item(MOVIE, "/mediax", None)
    writer.item(MOVIE, "/config-x/lib/film.mkv", None)
    writer.item(oracle.ENTITIES + "Audio.MusicGenre", "%MetadataPath%/MusicGenre/Röck İ", None, Name="Röck")
    writer.item(oracle.ENTITIES + "Audio.MusicArtist", "%MetadataPath%/artists/Some One", None, Name="Some One")
    writer.item(oracle.ENTITIES + "Year", "%MetadataPath%/Year/1999", None, Name="1999")


def put(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    os.utime(file, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))


def add_files(writer, first):
    tree = writer.tree
    put(tree / "config/livetv.xml", "<LiveTvOptions><RecordingPath>/media/tv &amp; &lt;more&gt;</RecordingPath>"
        "<!-- /media/comment --><MediaLocationsCreated><string>/media2/x</string><string>/media</string>"
        "</MediaLocationsCreated><Note><![CDATA[/media/<cdata>]]></Note></LiveTvOptions>")
    replace(tree / "config/system.xml", "<ContentTypes />", "<ContentTypes><NameValuePair><Name>/media/movies/Mix"
            "</Name><Value>movies</Value></NameValuePair></ContentTypes><CachePath>/cache</CachePath>")
    replace(tree / "config/system.xml", "<MetadataPath />", "<MetadataPath>/config/metadata</MetadataPath>")
    replace(tree / "config/encoding.xml", "<QsvDevice />",
            "<QsvDevice /><TranscodingTempPath>/cache/transcodes</TranscodingTempPath>")
    put(tree / "root/default/Films/more.mblink", "/media2/films\n")
    put(tree / "root/default/Films/bom.mblink", "\ufeff/media/films")
    put(tree / "data/collections/New [boxset]/collection.xml", "<Item><CollectionItems><CollectionItem>"
        f"<Path>/media/movies/Two/Two.mkv</Path><ItemId>{first}</ItemId></CollectionItem></CollectionItems></Item>")
    put(tree / "metadata/library/ee/" / ("e" * 32) / "poster.jpg", "of nobody")
    put(tree / f"metadata/library/zz/{first}/poster.jpg", "wrong prefix")


def replace(file, old, new):
    text = file.read_text("utf-8")
    assert old in text, f"{file}: no {old}"
    put(file, text.replace(old, new))


def main(tree):
    writer = Writer(tree)
    writer.database.execute("BEGIN")
    add_seasons(writer)
    first, second = add_versions(writer)
    add_references(writer, first, second)
    add_odd_items(writer)
    writer.database.execute("COMMIT")
    writer.database.close()
    add_files(writer, first)


if __name__ == "__main__":
    main(sys.argv[1])
