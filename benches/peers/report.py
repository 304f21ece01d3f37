"""From results.jsonl to the figures of docs/performance.md: a table and a plot for each corpus."""
import json, os, re
from html import escape

WORKS = ["first capture", "nothing changed", "a day's change", "one file", "restore", "export", "diff", "list", "check", "forget + prune"]
MARK = "figures"
OWN = "#00a4dc"
PEER = "#8d99a6"
FLOOR = "#c9d1d9"
# What is the least to be done, and no backup.
FLOORS = ("floor", "find")


def read(results):
    """The newest line of each (corpus, tool, work), and the version of each (corpus, tool)."""
    newest, versions = {}, {}
    for line in open(results):
        facts = json.loads(line)
        if facts["work"] == "version":
            versions[facts["corpus"], facts["tool"]] = facts["text"]
        elif facts["work"] in WORKS:
            newest[facts["corpus"], facts["tool"], facts["work"]] = facts
    return newest, versions


def seconds(value):
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def megabytes(value):
    # A repository that shrinks by a few bytes gave nothing worth a sign.
    value = max(value, 0)
    return f"{value / 1e6:,.0f} MB" if value >= 1e7 else f"{value / 1e6:.1f} MB"


def heads(tools):
    return " | ".join(tool.replace("|", "\\|") for tool in tools)


def table(newest, corpus, tools):
    lines = ["| work | " + heads(tools) + " |", "| --- |" + " --- |" * len(tools)]
    for work in WORKS:
        row = [newest.get((corpus, tool, work)) for tool in tools]
        if not any(row):
            continue
        best = min((facts["wall"] for tool, facts in zip(tools, row) if facts and facts["code"] == 0 and tool not in FLOORS), default=None)
        cells = []
        for tool, facts in zip(tools, row):
            if facts is None:
                cells.append("–")
            elif facts["code"] != 0:
                cells.append("failed")
            else:
                told = seconds(facts["wall"])
                told = f"**{told}**" if facts["wall"] == best else told
                cells.append(f"{told}, {facts['cpu']:.1f} s, {facts['rss_mb']} MB")
        lines.append(f"| {work} | " + " | ".join(cells) + " |")
    return lines


def bytes_table(newest, corpus, tools):
    lines = ["| bytes | " + heads(tools) + " |", "| --- |" + " --- |" * len(tools)]
    kinds = [
        ("repository after the first capture", "first capture", lambda facts: facts["bytes"]),
        ("added where nothing changed", "nothing changed", lambda facts: (facts["bytes"] - facts["bytes_before"]) / max(facts["runs"], 1)),
        ("added by the day's change", "a day's change", lambda facts: facts["bytes"] - facts["bytes_before"]),
        ("given back by forget + prune", "forget + prune", lambda facts: facts["bytes_before"] - facts["bytes"]),
        ("the one file", "export", lambda facts: facts["bytes"]),
    ]
    for title, work, of in kinds:
        row = [newest.get((corpus, tool, work)) for tool in tools]
        if any(facts and "bytes" in facts for facts in row):
            lines.append(f"| {title} | " + " | ".join(megabytes(of(facts)) if facts and "bytes" in facts and facts["code"] == 0 else "–" for facts in row) + " |")
    return lines if len(lines) > 2 else []


def panel(work, bars, x, y, width):
    """One kind of work: a bar for each program, the fastest first. Returns the SVG and its height."""
    out = [f'<text x="{x}" y="{y + 14}" class="title">{escape(work)}</text>']
    longest, label, top = max(value for _, value in bars), 128, y + 22
    for number, (tool, value) in enumerate(bars):
        at = top + number * 17
        length = max(1.5, (width - label - 62) * value / longest)
        colour = OWN if tool.startswith("jellyvault") else FLOOR if tool in FLOORS else PEER
        out.append(f'<text x="{x + label - 6}" y="{at + 11}" class="name">{escape(tool)}</text>')
        out.append(f'<rect x="{x + label}" y="{at + 2}" width="{length:.1f}" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + label + length + 5:.1f}" y="{at + 11}">{seconds(value)}</text>')
    return out, 30 + 17 * len(bars)


def plot(newest, corpus, tools):
    width, gap, left = 400, 24, [10, 10]
    columns, out = [[], []], []
    for work in WORKS:
        bars = [(tool, facts["wall"]) for tool in tools if (facts := newest.get((corpus, tool, work))) and facts["code"] == 0]
        if not bars:
            continue
        side = 0 if left[0] <= left[1] else 1
        drawn, height = panel(work, sorted(bars, key=lambda bar: bar[1]), 12 + side * (width + gap), left[side], width)
        columns[side] += drawn
        left[side] += height + 12
    style = "text{font:11px sans-serif;fill:#24292f}.title{font-weight:bold;font-size:13px}.name{text-anchor:end}"
    out += [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width + gap + 24}" height="{max(left) + 4}" role="img" aria-label="seconds of each program on the corpus {corpus}">']
    out += [f"<style>{style}</style>", '<rect width="100%" height="100%" fill="#ffffff"/>', *columns[0], *columns[1], "</svg>", ""]
    return "\n".join(out)


def sections(figures):
    """The parts of the page's figures by their corpus."""
    parts = re.split(r"^### `([\w ]+)`\n", figures, flags=re.MULTILINE)
    return {corpus: f"### `{corpus}`\n{text.rstrip()}\n" for corpus, text in zip(parts[1::2], parts[2::2])}


def write_report(results, docs):
    """Writes the sections of the corpora that there are results of; those of others stay as they are."""
    newest, versions = read(results)
    page = os.path.join(docs, "performance.md")
    whole = open(page).read()
    begin, end = f"<!-- {MARK} -->\n", f"<!-- /{MARK} -->"
    before, _, rest = whole.partition(begin)
    figures, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{page} has no place for the figures: a line {begin.strip()} and a line {end}")
    written = sections(figures)
    order = ["jellyvault", "jellyvault before", "jellyvault encrypted", "vykar", "vykar encrypted", "rustic", "restic", "kopia", "borg", "borg encrypted", "conserve", "bupstash", "Jellyfin's own", "cp -a", "zip -6", "tar | zstd -3", "find", "floor"]
    corpora = [size + machine for size in ("small", "medium", "many") for machine in ("", " cold", " small machine")]
    for corpus in corpora:
        tools = [tool for tool in order if any(key[0] == corpus and key[1] == tool for key in newest)]
        if not tools:
            continue
        file = corpus.replace(" ", "-")
        dates = sorted(facts["at"] for key, facts in newest.items() if key[0] == corpus)
        busiest = max((facts for key, facts in newest.items() if key[0] == corpus), key=lambda facts: facts["others"])
        text = [f"### `{corpus}`", "", f"![Seconds of each program on {corpus}](performance-{file}.svg)", ""]
        text += table(newest, corpus, tools) + [""]
        text += (lines + [""] if (lines := bytes_table(newest, corpus, [tool for tool in tools if tool not in FLOORS])) else [])
        text += [f"Wall time, CPU time, peak memory of the largest process. Run from {dates[0]} to {dates[-1]}; the rest of the machine used at most {busiest['others']} s of CPU during one of them ({busiest['tool']}, {busiest['work']}).", ""]
        text += ["Versions: " + "; ".join(f"{tool} {re.sub(tool + '[ -]*', '', versions[corpus, tool])}" for tool in sorted(tools) if (corpus, tool) in versions) + ".", ""]
        written[corpus] = "\n".join(text)
        with open(os.path.join(docs, f"performance-{file}.svg"), "w") as out:
            out.write(plot(newest, corpus, tools))
    with open(page, "w") as out:
        out.write(before + begin + "\n".join(written[corpus] for corpus in corpora if corpus in written) + end + after)
