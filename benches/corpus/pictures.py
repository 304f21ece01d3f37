"""JPEGs and PNGs that no program can shrink much, thousands a second.

Real pictures are encoded once (Pillow, quality 90 or 75, 4:2:0, standard Huffman tables, a restart marker every 20
MCUs: one row of a thumbnail 320 px wide). A restart segment can be decoded alone, so any sequence of segments of the same
tables is a valid baseline JPEG. Every file draws its own sequence, and in each segment every magnitude bit of an AC
coefficient is drawn anew (any value decodes). So no two files share more than a few bytes, and they are as hard to
compress as real ones.
"""

import io
import os
import pickle
import struct
import zlib

import numpy as np
from PIL import Image

RI = 20  # MCUs in a restart interval


def base_image(rng, w, h):
    """A photo-like picture: 1/f noise, soft shapes, some fine grain."""
    fy = np.fft.fftfreq(h)[:, None]
    fx = np.fft.rfftfreq(w)[None, :]
    f = np.sqrt(fx * fx + fy * fy)
    f[0, 0] = 1
    beta = rng.uniform(0.9, 1.7)
    img = np.empty((h, w, 3), np.float32)
    common = None
    for c in range(3):
        spec = (rng.standard_normal(f.shape) + 1j * rng.standard_normal(f.shape)) / f**beta
        ch = np.fft.irfft2(spec, (h, w))
        ch = (ch - ch.mean()) / (ch.std() + 1e-9)
        if common is None:
            common = ch
        img[..., c] = 0.8 * common + 0.35 * ch
    yy, xx = np.mgrid[0:h, 0:w]
    for _ in range(int(rng.integers(6, 20))):
        cx, cy, r = rng.integers(0, w), rng.integers(0, h), rng.integers(20, max(40, w // 3))
        m = ((xx - cx) ** 2 + (yy - cy) ** 2) < r * r
        img[m] += rng.uniform(-1.2, 1.2, 3)
    img += rng.standard_normal(img.shape).astype(np.float32) * rng.uniform(0.0, 0.06)
    return np.clip(128 + 46 * rng.uniform(0.12, 1.0) * img, 0, 255).astype(np.uint8)


def encode(arr, q):
    b = io.BytesIO()
    Image.fromarray(arr).save(b, "JPEG", quality=q, subsampling=2, restart_marker_blocks=RI)
    return b.getvalue()


def split_jpeg(data):
    """-> (header up to and including SOS, [restart segments, without byte stuffing], Huffman tables)"""
    i, huff = 2, {}
    while True:
        assert data[i] == 0xFF
        m, ln = data[i + 1], struct.unpack(">H", data[i + 2 : i + 4])[0]
        if m == 0xC4:
            j = i + 4
            while j < i + 2 + ln:
                tc, counts, k, code = data[j], data[j + 1 : j + 17], j + 17, 0
                tab = {}
                for bits in range(1, 17):
                    for _ in range(counts[bits - 1]):
                        tab[(bits, code)] = data[k]
                        k += 1
                        code += 1
                    code <<= 1
                huff[tc] = tab
                j = k
        i += 2 + ln
        if m == 0xDA:
            break
    head, scan = data[:i], data[i:-2]
    a = np.frombuffer(scan, np.uint8)
    ff = np.nonzero(a[:-1] == 0xFF)[0]
    segs, s = [], 0
    for p in [int(p) for p in ff if 0xD0 <= a[p + 1] <= 0xD7] + [len(scan)]:
        segs.append(scan[s:p].replace(b"\xff\x00", b"\xff"))
        s = p + 2
    return head, segs, huff


def lookup16(tab):
    """16-bit prefix -> (code length, symbol)"""
    L = [None] * 65536
    for (n, code), sym in tab.items():
        lo = code << (16 - n)
        for x in range(lo, lo + (1 << (16 - n))):
            L[x] = (n, sym)
    return L


def free_bits(seg, nmcu, L):
    """Mask of the AC magnitude bits of a segment: any value there decodes."""
    bits = int.from_bytes(seg + b"\xff\xff\xff", "big")
    total = (len(seg) + 3) * 8
    pos, mask = 0, 0
    dc0, ac0, dc1, ac1 = L
    for _ in range(nmcu):
        for blk in range(6):
            dc, ac = (dc0, ac0) if blk < 4 else (dc1, ac1)
            n, s = dc[(bits >> (total - pos - 16)) & 0xFFFF]
            pos += n + s
            k = 1
            while k < 64:
                n, rs = ac[(bits >> (total - pos - 16)) & 0xFFFF]
                pos += n
                s = rs & 15
                if s == 0:
                    if rs != 0xF0:
                        break
                    k += 16
                    continue
                k += (rs >> 4) + 1
                mask |= ((1 << s) - 1) << (total - pos - s)
                pos += s
    return (mask >> 24).to_bytes(len(seg), "big")


class JpegPool:
    """Segments of many real images, sorted by length, for one quality.  A new file is a
    random sequence of segments in which every AC magnitude bit is drawn anew."""

    def __init__(self, q, encoded):
        self.head, items, L = None, [], None
        for data in encoded:
            head, segs, huff = split_jpeg(data)
            self.head = self.head or head
            L = L or [lookup16(huff[t]) for t in (0x00, 0x10, 0x01, 0x11)]
            items += segs
        items.sort(key=lambda s: (len(s), s))
        self.segs = [s + b"\0\0" for s in items]
        self.masks = [free_bits(s, RI, L) + b"\0\0" for s in items]
        self.lens = np.array([len(s) for s in self.segs])

    def header(self, mw, mh, comment):
        h = bytearray(self.head)
        i = 2
        while i < len(h):
            m, ln = h[i + 1], struct.unpack(">H", h[i + 2 : i + 4])[0]
            if m == 0xC0:
                h[i + 5 : i + 9] = struct.pack(">HH", mh * 16, mw * 16)
                break
            i += 2 + ln
        com = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
        return bytes(h[:2]) + com + bytes(h[2:])

    def make(self, rng, mw, mh, target):
        """A mw x mh MCU picture of about `target` bytes (mw*mh must be a multiple of RI)."""
        n = mw * mh // RI
        c = int(np.searchsorted(self.lens, target / n))
        spread = max(200, len(self.segs) // 6)
        c = min(max(c, spread // 2), len(self.segs) - spread // 2 - 1)
        idx = rng.integers(c - spread // 2, c + spread // 2, n)
        li, segs, masks = idx.tolist(), self.segs, self.masks
        a = np.frombuffer(b"".join([segs[i] for i in li]), np.uint8)
        mk = np.frombuffer(b"".join([masks[i] for i in li]), np.uint8)
        a = a ^ (np.frombuffer(rng.bytes(len(a)), np.uint8) & mk)
        end = np.cumsum(self.lens[idx]) - 2  # where each RSTn goes
        ff = np.flatnonzero(a == 0xFF)
        out = np.insert(a, ff + 1, 0)  # byte stuffing
        end += np.searchsorted(ff, end)
        out[end] = 0xFF
        out[end + 1] = 0xD0 + np.arange(n) % 8
        out[end[-1] + 1] = 0xD9  # the last one is EOI
        return self.header(mw, mh, b"gen " + rng.bytes(8).hex().encode()) + out.tobytes()


POOLS = {}


def build_pools(seed, nbase):
    cache = os.path.join(os.environ.get("BENCH_DIR", ".bench"), f"pools-{seed}-{nbase}.pickle")
    if os.path.exists(cache):
        with open(cache, "rb") as file:
            POOLS.update(pickle.load(file))
        return
    rng = np.random.default_rng([seed, 1000])
    enc = {90: [], 75: []}
    for _ in range(nbase):
        arr = base_image(rng, 640, 480)  # 40x30 MCUs = 60 segments
        for q in enc:
            enc[q].append(encode(arr, q))
    for q in enc:
        POOLS[q] = JpegPool(q, enc[q])
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    with open(cache, "wb") as file:
        pickle.dump(POOLS, file)


def png_logo(rng, w=400, h=155):
    """Transparent RGBA logo: a few noisy shapes on nothing, filter type 0."""
    a = np.zeros((h, w, 4), np.uint8)
    for _ in range(int(rng.integers(5, 14))):
        x, y = int(rng.integers(0, w - 60)), int(rng.integers(0, h - 40))
        ww, hh = int(rng.integers(20, 60)), int(rng.integers(15, 40))
        a[y : y + hh, x : x + ww, :3] = rng.integers(0, 256, 3) // 2 + rng.integers(0, 40, (hh, ww, 3))
        a[y : y + hh, x : x + ww, 3] = 255
    raw = np.zeros((h, w * 4 + 1), np.uint8)
    raw[:, 1:] = a.reshape(h, -1)

    def ch(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))

    return (
        b"\x89PNG\r\n\x1a\n"
        + ch(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 6, 0, 0, 0))
        + ch(b"IDAT", zlib.compress(raw.tobytes(), 6))
        + ch(b"IEND", b"")
    )
