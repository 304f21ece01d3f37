#!/usr/bin/env python3
"""Reads a jellyvault repository without jellyvault, by docs/format.md alone.

    pip install blake3 zstandard
    python3 read_repository.py REPOSITORY                     lists the snapshots
    python3 read_repository.py REPOSITORY SNAPSHOT DIR        writes a snapshot's files below DIR

Everything is proved on the way: packs, chunks, recipes and records by their hashes. What cannot be proved ends the program.
Modes and times are restored, owners and extended attributes are not. Encrypted repositories are not read.
"""
import os, struct, sys
from pathlib import Path

from blake3 import blake3
import zstandard

IDENTITY = "jellyvault 2026-11-22 identity of a database from its pages"
GROUPS = "jellyvault 2026-11-30 names of groups of cells"
NODES, PAGES, RECIPES = 1, 3, 4
EXTENT_MAX = 16 << 20


class Bytes:
    """Takes one field after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        assert len(part) == count, "cut short"
        self.at += count
        return part

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        """LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def prefixed(self):
        return self.take(self.varint())

    # The body of records: bincode 2, whose numbers are not LEB128.
    def number(self):
        first = self.byte()
        widths = {251: "<H", 252: "<I", 253: "<Q"}
        return first if first < 251 else struct.unpack(widths[first], self.take(struct.calcsize(widths[first])))[0]

    def signed(self):
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def text(self):
        return self.take(self.number()).decode()

    def option(self, read):
        return read() if self.byte() else None

    def list(self, read):
        return [read() for _ in range(self.number())]

    def map(self, key, value):
        return {key(): value() for _ in range(self.number())}


class Database:
    """Pages built from their shapes and from the sequence of cells, in the order in which these stand there."""

    def __init__(self, page_bytes, count, shapes, sequence):
        self.page_bytes, self.at, self.sequence, self.position, self.before = page_bytes, Bytes(shapes), sequence, 0, 0
        self.pages = [None] * (count + 1)
        self.usable = page_bytes - self.at.varint()
        while self.at.data[self.at.at] != 0xFE:
            self.page()
        for number in range(1, count + 1):
            if self.pages[number] is None:
                self.pages[number] = self.take(page_bytes)
        assert self.position == len(sequence), "cells are left over"

    def take(self, count):
        part = self.sequence[self.position:self.position + count]
        assert len(part) == count, "the sequence of cells is cut short"
        self.position += count
        return part

    def page(self):
        """The next shape and all below it; the number of its page."""
        flags = self.at.byte()
        if flags == 0xFF:
            return self.at.varint()
        kind, inner, index = flags & 3, flags & 2, flags & 1
        number = self.before = self.before + 1 + self.at.zigzag()
        count = self.at.varint()
        key, keys, rank, ranks, gaps, chains = 0, [], 0, list(range(count)), {}, {}
        for _ in range(count if kind == 2 else 0):
            key = key + self.at.zigzag() & (1 << 64) - 1
            keys.append(key)
        lens = [self.at.varint() for _ in range(count if kind == 3 else 0)]
        for cell in range(count if flags & 4 else 0):
            ranks[cell] = rank + self.at.zigzag()
            rank = ranks[cell] + 1
        rank = 0
        for _ in range(self.at.varint() if flags & 8 else 0):
            rank += self.at.varint()
            gaps[rank] = self.at.varint()
            rank += 1
        cell = 0
        for _ in range(self.at.varint() if flags & 16 else 0):
            cell += self.at.varint()
            chains[cell] = self.chain(number, inner)
            cell += 1
        if not inner:
            self.at.zigzag()  # only who wants this page alone needs it
        patches = self.patches() if flags & 32 else []
        cells, children = [], []
        for cell in range(count):
            if inner:
                children.append(self.page())
            content = sqlite_varint(keys[cell]) if kind == 2 else self.take(lens[cell] if inner else self.measure(index))
            first = self.overflow(*chains[cell]) if cell in chains else b""
            cells.append((struct.pack(">I", children[cell]) if inner else b"") + content + first)
        if inner:
            children.append(self.page())
        self.place((13, 10, 5, 2)[kind], number, cells, ranks, gaps, children, patches)
        return number

    def measure(self, index):
        """Bytes of the next cell of a leaf, without its overflow pages."""
        payload, at = read_sqlite_varint(self.sequence, self.position)
        if not index:
            _, at = read_sqlite_varint(self.sequence, at)
        most = (self.usable - 12) * 64 // 255 - 23 if index else self.usable - 35
        least = (self.usable - 12) * 32 // 255 - 23
        fitting = least + (payload - least) % (self.usable - 4)
        local = payload if payload <= most else fitting if fitting <= most else least
        return at - self.position + local

    def chain(self, number, inner):
        count = self.at.varint()
        pages = [number + 1 + self.at.zigzag()]
        if count == 0:
            return pages[0], [], 0, {}
        for _ in range(count - 1):
            pages.append(pages[-1] + 1 + self.at.zigzag())
        size = self.at.varint()
        if not inner:
            self.at.varint()
        return pages[0], pages, size, {self.at.varint(): self.patches() for _ in range(self.at.varint())}

    def overflow(self, first, pages, size, patches):
        for at, number in enumerate(pages):
            content = self.take(min(size, self.usable - 4))
            size -= len(content)
            following = pages[at + 1] if at + 1 < len(pages) else 0
            self.finish(number, [(0, struct.pack(">I", following) + content)] + patches.get(at, []))
        return struct.pack(">I", first)

    def patches(self):
        found, at = [], 0
        for _ in range(self.at.varint()):
            at += self.at.varint()
            found.append((at, self.at.prefixed()))
            at += len(found[-1][1])
        return found

    def place(self, kind, number, cells, ranks, gaps, children, patches):
        """Cells lie from the end of the page downwards, by rank; their pointers stand behind the header, by key."""
        header, end, starts = 100 if number == 1 else 0, self.usable, [0] * len(cells)
        for rank, cell in enumerate(sorted(range(len(cells)), key=ranks.__getitem__)):
            end -= gaps.get(rank, 0) + max(len(cells[cell]), 4)
            starts[cell] = end
        head = struct.pack(">BHHHB", kind, 0, len(cells), end & 0xFFFF, 0) + (struct.pack(">I", children[-1]) if children else b"")
        head += b"".join(struct.pack(">H", start & 0xFFFF) for start in starts)
        self.finish(number, [(header, head)] + list(zip(starts, cells)) + patches)

    def finish(self, number, parts):
        assert self.pages[number] is None, "a page has two shapes"
        page = bytearray(self.page_bytes)
        for at, part in parts:
            page[at:at + len(part)] = part
        assert len(page) == self.page_bytes, "a page is too long"
        self.pages[number] = bytes(page)


def read_sqlite_varint(data, at):
    value = 0
    for n in range(9):
        byte = data[at + n]
        if n == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + n + 1


def sqlite_varint(value):
    if value >> 56:
        return bytes(value >> 8 + 7 * n & 127 | 128 for n in range(7, -1, -1)) + bytes([value & 255])
    groups = max(1, -(-value.bit_length() // 7))
    return bytes(value >> 7 * n & 127 | (128 if n else 0) for n in range(groups - 1, -1, -1))


class Repository:
    def __init__(self, root):
        self.root = Path(root)
        self.chunks = {}  # (id, is a recipe) -> (pack, extent's offset, stored, raw, codec, offset in it, length, depth)
        self.last = (None, b"")
        for pack in sorted(self.root.glob("packs/*/*.pack")):
            self.index(pack)

    def index(self, path):
        """Takes in a pack's trailer."""
        data = path.read_bytes()
        header, footer = data[:32], data[-80:]
        assert header[:6] == b"JVPACK" and header[8] == 0, f"{path} is no pack, or encrypted"
        where, length, extents, chunks, _ = struct.unpack("<QIIII", footer[:24])
        trailer = data[where:where + length]
        version = header[6]
        assert version in (1, 2) and footer[72:] == b"JVPKEND%d" % version and blake3(header + trailer + footer[:40]).digest() == footer[40:72], f"{path} is damaged"
        width = 32 if version == 1 else 36
        rows, names, offset = Bytes(trailer), Bytes(trailer[extents * width:]), 32
        for _ in range(extents):
            stored, raw, count, codec, kind, depth, _, _ = struct.unpack("<IIIBBBB16s", rows.take(32))
            if version == 2:
                offset += struct.unpack("<I", rows.take(4))[0]  # the extent's head
            inside = 0
            for _ in range(count):
                name, size = names.take(32), struct.unpack("<I", names.take(4))[0]
                place = (path, offset, stored, raw, codec, inside, size, depth)
                known = self.chunks.get((name, kind == RECIPES))
                # Of several recipes of one database the shallowest counts.
                if known is None or depth < known[7]:
                    self.chunks[name, kind == RECIPES] = place
                inside += size
            offset += stored

    def chunk(self, name, is_recipe=False, proves=True):
        path, offset, stored, raw, codec, inside, size, _ = self.chunks[name, is_recipe]
        if self.last[0] != (path, offset):
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read(stored)
            if codec == 1:
                data = zstandard.ZstdDecompressor().decompress(data, max_output_size=EXTENT_MAX)
            assert len(data) == raw, "an extent does not have its length"
            self.last = ((path, offset), data)
        data = self.last[1][inside:inside + size]
        assert not proves or blake3(data).digest() == name, f"chunk {name.hex()} is damaged"
        return data

    def snapshots(self):
        for path in sorted(self.root.glob("snapshots/*.snap")):
            yield path.stem, self.record(path)

    def record(self, path):
        data = path.read_bytes()
        body = data[48:]
        assert data[:6] == b"JVSNAP" and struct.unpack("<I", data[12:16])[0] == len(body), f"{path} is no record"
        assert blake3(data[:16] + bytes.fromhex(path.stem) + body).digest() == data[16:48], f"{path} is damaged"
        at = Bytes(body)
        record = {"time_ns": at.signed(), "parent": at.option(lambda: at.take(16)), "label": at.option(at.text), "note": at.option(at.text), "program": at.text()}
        record.update(key=at.text(), host=at.text(), how=at.text(), directories=at.map(at.text, at.text), seen_by_server=at.map(at.text, at.text))
        record["version"] = at.option(lambda: (at.text(), at.text(), at.byte()))
        record.update({name: at.option(at.text) for name in ("server", "schema", "code_migration", "history")})
        record["categories"] = at.map(at.text, lambda: (at.take(32), at.number(), at.number(), at.number()))
        return record

    def entries(self, node):
        """The entries of a tree, in order."""
        at, path = Bytes(self.chunk(node)), b""
        level = at.byte()
        for _ in range(at.varint()):
            path = path[:at.varint()] + at.prefixed()
            if level:
                child = at.take(32)
                at.varint(), at.varint(), at.varint()
                yield from self.entries(child)
            else:
                yield self.entry(path, at)
        assert at.at == len(at.data), "bytes follow a node"

    def entry(self, path, at):
        tag = at.byte()
        mode, _, _, seconds, nanos = at.varint(), at.varint(), at.varint(), at.zigzag(), at.varint()
        kind = tag & 15
        content = None
        if kind == 0:
            size, form = at.varint(), at.byte()
            if form == 0:
                content = (size, "pieces", b"\0" + at.take(32))
            elif form == 1:
                content = (size, "pieces", at.prefixed())
            elif form == 2:
                content = (size, "pieces", b"".join(self.chunk(at.take(32)) for _ in range(at.varint())))
            else:
                content = (size, "pages", at.take(32))
        elif kind == 2:
            content = at.prefixed()
        if tag & 0x10:
            at.prefixed()
        elif tag & 0x20:
            at.take(32)
        group = at.take(8) if tag & 0x40 else None
        return path, kind, mode, seconds * 10**9 + nanos, content, group

    def write(self, content, file):
        size, form, data = content
        if form == "pages":
            for page in self.pages(data):
                file.write(page)
        else:
            at = Bytes(data)
            while at.at < len(data):
                if at.byte() == 0:
                    file.write(self.chunk(at.take(32)))
                else:
                    file.seek(at.varint(), os.SEEK_CUR)
        file.truncate(size)
        assert file.seek(0, os.SEEK_END) == size

    def pages(self, identity):
        """The pages of a database, proved."""
        data = self.recipe_bytes(identity)
        if data[0] == 2:
            page_bytes, count, groups, shapes = self.cells(data)
            pages = Database(page_bytes, count, shapes, b"".join(self.group(*group) for group in groups)).pages[1:]
            digests = [blake3(page).digest()[:16] for page in pages]
        else:
            bits, places = self.recipe(data)
            page_bytes, digests = 1 << bits, [digest for _, _, digest in places]
            pages = (self.chunk(extent)[slot << bits:slot + 1 << bits] for extent, slot, _ in places)
        whole = blake3(derive_key_context=IDENTITY)
        whole.update(struct.pack("<I", page_bytes))
        whole.update(b"".join(digests))
        assert whole.digest() == identity, "a recipe leads to another database"
        for page, digest in zip(pages, digests):
            assert blake3(page).digest()[:16] == digest, "a page is damaged"
            yield page

    def group(self, key, extent, start, size, name):
        group = self.chunk(extent)[start:start + size]
        assert blake3(group, key=key).digest()[:8] == name, "a group of cells is damaged"
        return group

    def cells(self, data):
        """A recipe of cells: page size, pages, groups (key of their names, extent, first byte, length, name) and shapes."""
        at = Bytes(data)
        assert at.take(2) == b"\2\0", "a recipe of another version"
        bits, depth = at.byte(), at.byte()
        _, _, older, before = self.cells(self.recipe_bytes(at.take(32))) if depth else (0, 0, [], b"")
        key = blake3(at.take(16), derive_key_context=GROUPS).digest()
        count, groups, extents, copies, runs = (at.varint() for _ in range(5))
        found, end, origin = [None] * groups, 0, 0
        for _ in range(copies):
            end += at.varint()
            origin += at.zigzag()
            length = at.varint()
            found[end:end + length] = older[origin:origin + length]
            end, origin = end + length, origin + length
        extent, told = 0, []
        for _ in range(runs):
            length = at.varint()
            extent += at.zigzag()
            told.append((length, extent, at.varint()))
        names = [at.take(32) for _ in range(extents)]
        lens = iter([at.varint() for length, _, _ in told for _ in range(length)])
        open_groups = iter([n for n in range(groups) if found[n] is None])
        for length, extent, start in told:
            for _ in range(length):
                size = next(lens)
                found[next(open_groups)] = (key, names[extent], start, size, at.take(8))
                start += size
        size, packed = at.varint(), at.prefixed()
        unpacker = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT), max_window_size=1 << 27)
        shapes = unpacker.decompress(packed, max_output_size=size)
        assert None not in found and len(shapes) == size, "a recipe does not tell of every group"
        return 1 << bits, count, found, shapes

    def recipe_bytes(self, identity):
        data = self.chunk(identity, is_recipe=True, proves=False)
        if data[:2] == b"\1\1":
            at = Bytes(data[2:])
            length, parts = at.varint(), b""
            while at.at < len(at.data):
                parts += self.chunk(at.take(32), is_recipe=True)
            assert len(parts) == length, "a recipe is cut short"
            data = parts
        return data

    def recipe(self, data):
        at = Bytes(data)
        assert at.take(2) == b"\1\0", "a recipe of another version"
        bits, depth = at.byte(), at.byte()
        places = self.recipe(self.recipe_bytes(at.take(32)))[1] if depth else []
        count, extents, runs = at.varint(), at.varint(), at.varint()
        places = (places + [None] * count)[:count]
        page, extent, told = 0, 0, []
        for _ in range(runs):
            page += at.varint()
            length = at.varint()
            extent += at.zigzag()
            first = at.varint()
            told += [(page + n, extent, first + n) for n in range(length)]
            page += length
        names = [at.take(32) for _ in range(extents)]
        for page, extent, slot in told:
            places[page] = (names[extent], slot, at.take(16))
        assert None not in places, "a recipe does not tell of every page"
        return bits, places


def restore(repository, record, target):
    links, folders = {}, []
    for manifest, *_ in record["categories"].values():
        for path, kind, mode, mtime, content, group in repository.entries(manifest):
            assert not any(part in (b"", b".", b"..") for part in path.split(b"/")) and b"\0" not in path, "a path that leads out"
            place = os.path.join(os.fsencode(target), path)
            if kind == 1:
                os.makedirs(place, exist_ok=True)
                folders.append((place, mode, mtime))
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if kind == 2:
                os.symlink(content, place)
                os.utime(place, ns=(mtime, mtime), follow_symlinks=False)
                continue
            if group in links:
                os.link(links[group], place)
                continue
            with open(place, "xb") as file:
                repository.write(content, file)
            os.chmod(place, mode & 0o777)
            os.utime(place, ns=(mtime, mtime))
            if group:
                links[group] = place
    for place, mode, mtime in reversed(folders):
        os.chmod(place, mode & 0o777)
        os.utime(place, ns=(mtime, mtime))


def main(arguments):
    if len(arguments) not in (1, 3):
        sys.exit(__doc__)
    repository = Repository(arguments[0])
    found = dict(repository.snapshots())
    if len(arguments) == 1:
        for name, record in found.items():
            print(name, record["time_ns"] // 10**9, record["version"][0] if record["version"] else "-", record["label"] or "")
        return
    fitting = [record for name, record in found.items() if name.startswith(arguments[1])]
    if len(fitting) != 1:
        sys.exit(f"{len(fitting)} snapshots begin with {arguments[1]}")
    restore(repository, fitting[0], arguments[2])


if __name__ == "__main__":
    main(sys.argv[1:])
