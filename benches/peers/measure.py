"""One command as a whole process tree: wall, CPU, peak memory, and how busy the rest of the machine was meanwhile."""
import os, re, signal, subprocess, tempfile, time

HERTZ = os.sysconf("SC_CLK_TCK")
LIMIT_SECONDS = 900
FREE_BYTES_LEFT = 1 << 29


def busy_seconds():
    """CPU seconds of the whole machine since it started."""
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / HERTZ


def size_of(path):
    """Bytes of all files below a path, each name of a file with several counted once."""
    if not os.path.exists(path):
        return 0
    return int(subprocess.run(["du", "-sb", path], capture_output=True, text=True, check=True).stdout.split()[0])


def environment(programs, work):
    """What programs find on their way: those of a directory first, all that they keep below `work`, no question that waits for an answer."""
    return dict(
        os.environ,
        PATH=f"{programs}:{os.environ['PATH']}",
        HOME=f"{work}/home",
        XDG_CACHE_HOME=f"{work}/cache",
        RESTIC_PASSWORD="x",
        RUSTIC_PASSWORD="x",
        KOPIA_PASSWORD="x",
        RESTIC_CACHE_DIR=f"{work}/restic",
        BORG_BASE_DIR=f"{work}/borg",
        BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
        BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES",
        BUPSTASH_KEY=f"{work}/bupstash.key",
        VYKAR_PASSPHRASE="x",
    )


def touch_memory(wanted):
    """Touches memory that lies free. A virtual machine may have given it back to its host, within seconds after something was deleted, and whoever
    takes it first waits for the host: here up to 2 s a gigabyte, which would be held against the program that comes next."""
    if not os.path.isdir("/dev/shm"):
        return
    free = 1024 * int(next(line for line in open("/proc/meminfo") if line.startswith("MemFree")).split()[1])
    shared = os.statvfs("/dev/shm")
    megabytes = min(wanted, free - FREE_BYTES_LEFT, shared.f_bavail * shared.f_frsize) >> 20
    with tempfile.TemporaryFile(dir="/dev/shm", buffering=0) as file:
        for _ in range(megabytes):
            file.write(bytes(1 << 20))


def fill(command, values):
    """A line of the tools with its {names} filled in."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), command)


def run(command, environment, cwd=None, log="/dev/null", machine=None):
    """Runs a shell line, on a smaller machine where one is given; a dictionary with wall, cpu, rss_mb, code, others (CPU seconds of other processes meanwhile), tail (what it said last)."""
    os.sync()
    before, begun = busy_seconds(), time.monotonic()
    with open(log, "wb") as said:
        enter = machine.enter if machine else None
        child = subprocess.Popen(["bash", "-c", command], preexec_fn=enter, env=environment, cwd=cwd, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
    signal.alarm(LIMIT_SECONDS)
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        # Whoever ends this ends what it measures.
        os.killpg(child.pid, signal.SIGKILL)
        raise
    signal.alarm(0)
    wall, cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    tail = open(log, "rb").read()[-400:].decode(errors="replace") if log != "/dev/null" else ""
    return {
        "wall": round(wall, 4),
        "cpu": round(cpu, 3),
        "rss_mb": round(usage.ru_maxrss / 1024),
        "code": os.waitstatus_to_exitcode(status),
        "others": round(max(0, busy_seconds() - before - cpu), 1),
        "tail": tail,
    }


def median(runs):
    """The run with the median wall time."""
    return sorted(runs, key=lambda one: one["wall"])[len(runs) // 2]
