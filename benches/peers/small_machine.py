"""A smaller machine than this one, by the kernel's control groups (version 1) and by the affinity of processes."""
import os

MEMORY_BYTES = 512 << 20
CALLS_A_SECOND = 100
BYTES_A_SECOND = 50 << 20


class SmallMachine:
    """One core, 512 MB of memory with the page cache, a disk that does 100 reads and 100 writes and 50 MB of each in a second."""

    def __init__(self, root):
        self.groups = {kind: f"/sys/fs/cgroup/{kind}/jellyvault-bench" for kind in ("memory", "blkio")}
        for group in self.groups.values():
            os.makedirs(group, exist_ok=True)
        device = os.stat(root).st_dev
        disk = f"{os.major(device)}:{os.minor(device)}"
        self.write("memory", "memory.limit_in_bytes", MEMORY_BYTES)
        for verb in ("read", "write"):
            self.write("blkio", f"blkio.throttle.{verb}_iops_device", f"{disk} {CALLS_A_SECOND}")
            self.write("blkio", f"blkio.throttle.{verb}_bps_device", f"{disk} {BYTES_A_SECOND}")

    def write(self, kind, name, value):
        with open(f"{self.groups[kind]}/{name}", "w") as file:
            file.write(str(value))

    def enter(self):
        """Called in the child before the program begins: it and all its children live on the small machine."""
        for kind in self.groups:
            self.write(kind, "cgroup.procs", os.getpid())
        os.sched_setaffinity(0, {0})
