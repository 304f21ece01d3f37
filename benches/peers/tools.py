"""How each program is asked for the same work. {R} is its repository, {S} the source, {D} an empty directory, {n} the number of the snapshot,
{F} the path of one file in the source, {P} a Python with what the benchmarks need, {B} the directory of this file.

`ids` prints the snapshots' names, one a line, oldest first; {first} and {last} are the first and the last of them. What a program cannot do is left out.
"""

JSON_IDS = """ | python3 -c 'import json, sys
def walk(x):
    if isinstance(x, dict):
        if "id" in x and ("time" in x): yield x["time"], x["id"]
        else:
            for y in x.values(): yield from walk(y)
    elif isinstance(x, list):
        for y in x: yield from walk(y)
print("\\n".join(i[:16] for _, i in sorted(walk(json.load(sys.stdin)))))'"""

TOOLS = {
    "jellyvault": dict(
        version="jellyvault --version",
        init="true",
        snapshot="jellyvault --repo {R} --no-progress snapshot {S}",
        ids="jellyvault --repo {R} list --json" + JSON_IDS,
        restore="jellyvault --repo {R} --no-progress restore {last} --to {D}",
        diff="jellyvault --repo {R} diff {first} {last}",
        list="jellyvault --repo {R} list",
        check="jellyvault --repo {R} --no-progress check --read-data",
        forget="jellyvault --repo {R} --no-progress forget --keep-last 1 --prune",
        export="jellyvault --repo {R} --no-progress export {last} {D}/all.zip --exact",
        one="jellyvault --repo {R} --no-progress restore {last} --to {D} --path {F}",
    ),
    "vykar": dict(
        version="vykar --version",
        prepare="printf 'repositories:\\n  - label: a\\n    url: {R}\\nsources:\\n  - path: {S}\\n    label: s\\nencryption:\\n  mode: none\\ncompression:\\n  algorithm: zstd\\n' > {W}/vykar.yaml",
        init="vykar --config {W}/vykar.yaml init",
        snapshot="vykar --config {W}/vykar.yaml backup",
        ids="vykar --config {W}/vykar.yaml list 2>/dev/null | awk 'length($1) == 8 && $1 ~ /^[0-9a-f]+$/ {print $1}'",
        restore="vykar --config {W}/vykar.yaml restore {last} {D}",
        diff="vykar --config {W}/vykar.yaml snapshot diff {first} {last}",
        list="vykar --config {W}/vykar.yaml list",
        check="vykar --config {W}/vykar.yaml check --verify-data",
        forget="vykar --config {W}/vykar.yaml snapshot delete {olds} && vykar --config {W}/vykar.yaml compact",
        one="vykar --config {W}/vykar.yaml restore {last} {D} --pattern '**/{F}'",
    ),
    "rustic": dict(
        version="rustic --version",
        init="rustic -r {R} init",
        snapshot="rustic -r {R} backup {S}",
        ids="rustic -r {R} snapshots --json" + JSON_IDS,
        restore="rustic -r {R} restore {last}:{S} {D}",
        diff="rustic -r {R} diff {first}:{S} {last}:{S}",
        list="rustic -r {R} snapshots",
        check="rustic -r {R} check --read-data",
        forget="rustic -r {R} forget {olds} && rustic -r {R} prune --instant-delete",
        one="rustic -r {R} restore {last}:{S}/{F} {D}",
    ),
    "restic": dict(
        version="restic version",
        init="restic -q -r {R} init",
        snapshot="restic -q -r {R} backup {S}",
        ids="restic -r {R} snapshots --json" + JSON_IDS,
        restore="restic -q -r {R} restore {last} --target {D}",
        diff="restic -r {R} diff {first} {last}",
        list="restic -r {R} snapshots",
        check="restic -r {R} check --read-data",
        forget="restic -r {R} forget {olds} --prune",
        one="restic -q -r {R} restore {last} --target {D} --include {S}/{F}",
    ),
    "kopia": dict(
        version="kopia --version",
        init="kopia repository create filesystem --path {R}",
        snapshot="kopia snapshot create {S}",
        ids="kopia snapshot list --json" + JSON_IDS,
        restore="kopia restore {last} {D}",
        diff="kopia diff {first} {last}",
        list="kopia snapshot list",
        check="kopia snapshot verify --verify-files-percent=100",
        forget="kopia snapshot delete {olds} --delete && kopia maintenance run --full",
    ),
    "borg": dict(
        version="borg --version",
        init="borg init -e none {R}",
        snapshot="borg create {R}::s{n} {S}",
        ids="borg list --short {R}",
        restore="cd {D} && borg extract {R}::{last}",
        diff="borg diff {R}::{first} {last}",
        list="borg list {R}",
        check="borg check --verify-data {R}",
        forget="borg delete {R}::{olds} && borg compact {R}",
        one="cd {D} && borg extract --pattern '+ {S}/{F}' --pattern '- **' {R}::{last}",
    ),
    "conserve": dict(
        version="conserve --version",
        init="conserve init {R}",
        snapshot="conserve backup {R} {S} --no-progress",
        ids="conserve versions {R} --short",
        restore="conserve restore {R} {D} --no-progress",
        # Of the last snapshot and the live tree; it has no other.
        diff="conserve diff {R} {S} --no-progress",
        list="conserve versions {R}",
        check="conserve validate {R} --no-progress",
        forget="for b in {olds}; do set -- $@ -b $b; done; conserve delete {R} $@ --no-progress",
    ),
    "bupstash": dict(
        version="bupstash version",
        prepare="bupstash new-key -o {W}/bupstash.key",
        init="bupstash init -r {R}",
        snapshot="bupstash put -q -r {R} --no-progress --send-log {W}/bupstash.sendlog name=s{n} {S}",
        ids="bupstash list -r {R} --no-progress --format=jsonl1 | python3 -c 'import json, sys\nfor x in sorted((json.loads(l) for l in sys.stdin if l.strip()), key=lambda x: x.get(\"unix_timestamp_millis\", 0)): print(x[\"id\"])'",
        restore="bupstash restore -r {R} --no-progress --into {D} id={last}",
        diff="bupstash diff -r {R} --no-progress id={first} :: id={last}",
        list="bupstash list -r {R} --no-progress",
        check=None,
        forget="for i in {olds}; do bupstash rm -r {R} id=$i || exit 1; done && bupstash gc -r {R} --no-progress",
    ),
}



def encrypted(tool, **others):
    """The same program over an encrypted repository."""
    return {**TOOLS[tool], **others}


# The build before, if the directory's bin has it under this name.
TOOLS["jellyvault before"] = {verb: line.replace("jellyvault", "jellyvault-before", 1) for verb, line in TOOLS["jellyvault"].items()}
TOOLS["jellyvault encrypted"] = encrypted(
    "jellyvault",
    prepare="printf '%s\\n' 'some words that nobody else has' > {W}/passphrase && export JELLYVAULT_PASSPHRASE_FILE={W}/passphrase",
    init="jellyvault --repo {R} --passphrase-file {W}/passphrase init --encrypt --no-recovery-key",
    **{verb: line.replace("jellyvault --repo {R}", "jellyvault --repo {R} --passphrase-file {W}/passphrase") for verb, line in TOOLS["jellyvault"].items() if verb not in ("version", "init")},
)
TOOLS["vykar encrypted"] = encrypted("vykar", prepare=TOOLS["vykar"]["prepare"].replace("mode: none", "mode: auto"))
TOOLS["borg encrypted"] = encrypted("borg", init="BORG_PASSPHRASE=x borg init -e repokey-blake2 {R}", **{verb: f"export BORG_PASSPHRASE=x; {line}" for verb, line in TOOLS["borg"].items() if verb not in ("version", "init")})

# What a program asks of each file of a tree at the least, by one that everybody has.
FIND = "find {S} -printf '%p %s %T@ %C@ %i\\n' > /dev/null"

# Programs that make one copy and know nothing of a second.
COPIES = {
    "cp -a": "cp -a {S} {D}/copy",
    "Jellyfin's own": "{P} {B}/jellyfin_backup.py {S} {D}/jellyfin.zip",
    "zip -6": "cd {S} && zip -q -6 -r {D}/all.zip .",
    "tar | zstd -3": "tar -C {S} -cf - . | zstd -q -3 -T2 -o {D}/all.tar.zst",
}
