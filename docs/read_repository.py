#!/usr/bin/env python3
"""Reads a jellyvault repository without jellyvault, by docs/format.md alone.

    pip install blake3 zstandard
    python3 read_repository.py REPOSITORY                     lists the snapshots
    python3 read_repository.py REPOSITORY SNAPSHOT DIR        writes a snapshot's files below DIR

An encrypted repository needs Python 3.11, one package more, and its passphrase or a recovery key in a file:

    pip install "cryptography>=44"
    python3 read_repository.py --passphrase-file FILE REPOSITORY [SNAPSHOT DIR]

It is tested with blake3 1.0.11, zstandard 0.25.0 and cryptography 50.0.2.

Everything is proved on the way: packs, chunks, recipes and records by their hashes. What cannot be proved ends the program.
Modes and times are restored, owners and extended attributes are not.
"""
import os, re, struct, sys, unicodedata
from pathlib import Path

from blake3 import blake3
import zstandard

IDENTITY = "jellyvault 2026-11-22 identity of a database from its pages"
GROUPS = "jellyvault 2026-11-30 names of groups of cells"
NODES, PAGES, RECIPES = 1, 3, 4
EXTENT_MAX = 16 << 20
CIPHERS = {"none": 0, "chacha20-poly1305": 1, "aes-256-gcm": 2}
TRAILER = 0xFFFFFFFF
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


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


def derive_key(context, material, length=32):
    return blake3(material, derive_key_context="jellyvault 2026-12-01 " + context).digest(length=length)


def behind_lengths(*fields):
    return b"".join(struct.pack("<I", len(field)) + field for field in fields)


def cipher_of(code, key):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    return {1: ChaCha20Poly1305, 2: AESGCM}[code](key)


def padded(length, kind):
    """Bytes of the encrypted text of so many plain bytes."""
    step = 256 if kind == "head" else max(256, (1 << length.bit_length()) // 64)
    return -(-(length + 1) // step) * step


class Keys:
    """The keys of an encrypted repository, all from its master key."""

    def __init__(self, master, repository, code):
        self.repository, self.code = repository.encode(), code
        self.master, self.packs = master, {}
        self.ids = self.key("names of content")

    def key(self, purpose):
        return derive_key(purpose, self.master + self.repository)

    def open(self, kind, name, position, sealed):
        """The plain bytes of a sealed piece of a pack, or of a record."""
        salt = b""
        if kind in ("snapshot", "link"):
            sealed, salt = sealed[:-16], sealed[-16:]
            material = blake3(kind.encode() + b"\0" + salt + name, key=self.key("records")).digest(length=64)
        else:
            if name not in self.packs:
                self.packs[name] = blake3(name, key=self.key("packs")).digest(length=64)
            material = self.packs[name]
        assert sealed[-32:] == material[32:], f"the {kind} {position} of {name.hex()} was sealed with another key"
        nonce = kind.encode().ljust(8, b"\0") + struct.pack("<I", position)
        place = b"jellyvault 2" + bytes([self.code]) + behind_lengths(self.repository, kind.encode(), name)
        place += struct.pack("<I", position)
        text = cipher_of(self.code, material[:32]).decrypt(nonce, sealed[:-32], place)
        plain = text.rstrip(b"\0")
        assert plain[-1:] == b"\x80" and len(text) == padded(len(plain) - 1, kind), "a piece is filled up otherwise"
        return plain[:-1]


def checked_text(*paths):
    """Of the first of these files whose first line is the checksum of the rest: the rest, as text. None if none is."""
    for path in paths:
        if path.exists():
            first, _, rest = path.read_bytes().partition(b"\n")
            if first == b'checksum = "%s"' % blake3(rest).hexdigest().encode():
                return rest.decode()
            if path.name == "repo.toml" and first.startswith(b"# A jellyvault repository."):
                return path.read_text()
    return None


def recovery_keys(secret):
    """The recovery keys in a file: lines of 56 digits, however they are grouped."""
    for line in secret.decode(errors="replace").splitlines():
        digits = line.upper().translate(str.maketrans("OIL", "011", "- \t"))
        if len(digits) == 56 and set(digits) <= set(DIGITS):
            number = int("".join(format(DIGITS.index(digit), "05b") for digit in digits[:52]), 2)
            key = (number >> 4).to_bytes(32, "big")
            check = int.from_bytes(derive_key("check group of a recovery key", key)[:3], "big") >> 4
            if digits[52:] == "".join(DIGITS[check >> at & 31] for at in (15, 10, 5, 0)):
                yield key


def master_key(slot, root):
    """The master key, if the root is the one of this slot."""
    from cryptography.exceptions import InvalidTag
    salt, sealed, commitment = (bytes.fromhex(slot[field]) for field in ("salt", "sealed", "commitment"))
    material = derive_key("key slot", root + salt, 64)
    kind = {"passphrase": "Passphrase", "recovery-key": "RecoveryKey"}[slot["kind"]]
    fields = (slot["repository"], slot["cipher"], kind, slot["label"], slot["created"])
    kdf = slot.get("kdf", {})
    place = b"jellyvault key slot" + behind_lengths(*(field.encode() for field in fields))
    place += struct.pack("<III", *(kdf.get(name, 0) for name in ("memory_kib", "passes", "lanes")))
    try:
        return cipher_of(1, material[:32]).decrypt(bytes(12), sealed, place) if commitment == material[32:] else None
    except InvalidTag:
        return None


def stretched(secret, slot):
    """The root of a passphrase. A key that asks for too much work has none."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    memory, passes, lanes = (slot["kdf"][name] for name in ("memory_kib", "passes", "lanes"))
    if memory > 1 << 20 or passes > 64 or lanes > 16:
        return b""
    secret = secret.removesuffix(b"\n").removesuffix(b"\r")
    try:
        secret = unicodedata.normalize("NFC", secret.decode()).encode()
    except UnicodeDecodeError:
        pass
    argon = Argon2id(salt=bytes.fromhex(slot["salt"]), length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return argon.derive(secret)


def unlock(root, passphrase_file):
    """The keys of a repository; None if it is not encrypted."""
    text = checked_text(root / "repo.toml", root / "repo.copy.toml")
    if not passphrase_file:
        if text and not re.search('^cipher = "none"$', text, re.MULTILINE):
            sys.exit(f"{root} is encrypted: give the file with its passphrase or recovery key by --passphrase-file")
        return None  # without settings, the packs tell whether they are encrypted
    if not text:
        sys.exit(f"{root}/repo.toml and its copy are damaged or missing")
    if re.search('^cipher = "none"$', text, re.MULTILINE):
        sys.exit(f"{root} is not encrypted")
    import tomllib
    settings = tomllib.loads(text)
    secret = Path(passphrase_file).read_bytes()
    found, slots = list(recovery_keys(secret)), []
    for name in sorted({path.name.split(".")[0] for path in root.glob("keys/*.key")}):
        slot = tomllib.loads(checked_text(root / f"keys/{name}.key", root / f"keys/{name}.copy.key") or "version = 0")
        if slot["version"] == 1:
            slots.append(slot)
    roots = ((slot, key) for key in found for slot in slots if slot["kind"] == "recovery-key")
    stretched_roots = ((slot, stretched(secret, slot)) for slot in slots if slot["kind"] == "passphrase")
    for tries in (roots, stretched_roots):
        for slot, key in tries:
            master = master_key(slot, key)
            if master:
                keys = Keys(master, settings["id"], CIPHERS[settings["cipher"]])
                bare = re.sub('^tag = .*\n', "", text, flags=re.MULTILINE)
                tag = blake3(bare.encode(), key=keys.key("settings")).hexdigest()
                assert tag == settings["tag"], "repo.toml was changed"
                return keys
    sys.exit(f"{passphrase_file} opens none of the keys of {root}")


class Repository:
    def __init__(self, root, passphrase_file=None):
        self.root = Path(root)
        self.keys = unlock(self.root, passphrase_file)
        # (id, is a recipe) -> (pack, extent, its offset, stored, raw, codec, offset in it, length, depth)
        self.chunks = {}
        self.last = (None, b"")
        for pack in sorted(self.root.glob("packs/*/*.pack")):
            self.index(pack)

    def hash(self, data):
        """What ids are made of."""
        return blake3(data, key=self.keys.ids if self.keys else None).digest()

    def index(self, path):
        """Takes in a pack's trailer."""
        data = path.read_bytes()
        header, footer = data[:32], data[-80:]
        code = self.keys.code if self.keys else 0
        assert header[:6] == b"JVPACK" and header[8] == code, f"{path} is no pack, or has another cipher"
        where, length, extents, chunks, _ = struct.unpack("<QIIII", footer[:24])
        trailer = data[where:where + length]
        version = header[6]
        assert version in (1, 2) and footer[72:] == b"JVPKEND%d" % version and blake3(header + trailer + footer[:40]).digest() == footer[40:72], f"{path} is damaged"
        if self.keys:
            assert blake3(data[:where]).digest() == trailer[-32:], f"{path} is damaged"
            trailer = self.keys.open("trailer", header[16:], TRAILER, trailer[:-32])
        width = 32 if version == 1 else 36
        rows, names, offset = Bytes(trailer), Bytes(trailer[extents * width:]), 32
        for number in range(extents):
            stored, raw, count, codec, kind, depth, _, _ = struct.unpack("<IIIBBBB16s", rows.take(32))
            if version == 2:
                offset += struct.unpack("<I", rows.take(4))[0]  # the extent's head
            inside = 0
            for _ in range(count):
                name, size = names.take(32), struct.unpack("<I", names.take(4))[0]
                place = (path, number, offset, stored, raw, codec, inside, size, depth)
                known = self.chunks.get((name, kind == RECIPES))
                # Of several recipes of one database the shallowest counts.
                if known is None or depth < known[8]:
                    self.chunks[name, kind == RECIPES] = place
                inside += size
            offset += stored

    def chunk(self, name, is_recipe=False, proves=True):
        path, number, offset, stored, raw, codec, inside, size, _ = self.chunks[name, is_recipe]
        if self.last[0] != (path, offset):
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read(stored)
            if self.keys:
                data = self.keys.open("extent", bytes.fromhex(path.stem), number, data)
            if codec == 1:
                data = zstandard.ZstdDecompressor().decompress(data, max_output_size=EXTENT_MAX)
            assert len(data) == raw, "an extent does not have its length"
            self.last = ((path, offset), data)
        data = self.last[1][inside:inside + size]
        assert not proves or self.hash(data) == name, f"chunk {name.hex()} is damaged"
        return data

    def snapshots(self):
        for path in sorted(self.root.glob("snapshots/*.snap")):
            yield path.stem, self.record(path)

    def record(self, path):
        data = path.read_bytes()
        body = data[48:]
        assert data[:6] == b"JVSNAP" and struct.unpack("<I", data[12:16])[0] == len(body), f"{path} is no record"
        assert blake3(data[:16] + bytes.fromhex(path.stem) + body).digest() == data[16:48], f"{path} is damaged"
        assert data[8] == (self.keys.code if self.keys else 0), f"{path} has another cipher"
        if self.keys:
            body = self.keys.open("snapshot", bytes.fromhex(path.stem), 0, body)
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
            digests = [self.hash(page)[:16] for page in pages]
        else:
            bits, places = self.recipe(data)
            page_bytes, digests = 1 << bits, [digest for _, _, digest in places]
            pages = (self.chunk(extent)[slot << bits:slot + 1 << bits] for extent, slot, _ in places)
        whole = blake3(derive_key_context=IDENTITY)
        whole.update(self.keys.ids if self.keys else b"")
        whole.update(struct.pack("<I", page_bytes))
        whole.update(b"".join(digests))
        assert whole.digest() == identity, "a recipe leads to another database"
        for page, digest in zip(pages, digests):
            assert self.hash(page)[:16] == digest, "a page is damaged"
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
        key = blake3(at.take(16) + (self.keys.ids if self.keys else b""), derive_key_context=GROUPS).digest()
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
    passphrase_file = None
    if "--passphrase-file" in arguments[:-1]:
        at = arguments.index("--passphrase-file")
        passphrase_file = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2:]
    if len(arguments) not in (1, 3):
        sys.exit(__doc__)
    repository = Repository(arguments[0], passphrase_file)
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
