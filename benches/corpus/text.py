"""Words, titles and prose that look like those of a library, and ids as Jellyfin writes them."""

import numpy as np


def make_words(rng, n=6000):
    con, vow = "bcdfghjklmnprstvwz", "aeiou"
    ws = set()
    while len(ws) < n:
        k = int(rng.integers(1, 5))
        ws.add(
            "".join(
                con[rng.integers(len(con))]
                + vow[rng.integers(5)]
                + ("" if rng.random() < 0.6 else con[rng.integers(len(con))])
                for _ in range(k)
            )
        )
    return sorted(ws)


class Text:
    def __init__(self, seed):
        rng = np.random.default_rng([seed, 77])
        self.words = make_words(rng)
        p = 1 / np.arange(3, len(self.words) + 3) ** 0.9
        self.cdf = np.cumsum(p / p.sum())
        perm = rng.permutation(len(self.words))
        self.words = [self.words[i] for i in perm]

    def pick(self, rng, n):
        idx = np.searchsorted(self.cdf, rng.random(n))
        w = self.words
        return [w[min(i, len(w) - 1)] for i in idx]

    def prose(self, rng, nwords):
        out, ws, i = [], self.pick(rng, nwords), 0
        while i < nwords:
            k = int(rng.integers(6, 18))
            s = ws[i : i + k]
            i += k
            out.append(" ".join(s).capitalize() + ".")
        return " ".join(out)

    def title(self, rng):
        return " ".join(x.capitalize() for x in self.pick(rng, int(rng.integers(1, 5))))


def guid_n(rng):
    return rng.bytes(16).hex()


def guid_d(n):
    return f"{n[:8]}-{n[8:12]}-{n[12:16]}-{n[16:20]}-{n[20:]}"
