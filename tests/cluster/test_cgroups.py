from __future__ import annotations

from pathlib import Path

from innerloop.cluster.builtin.cgroups import Hierarchy, hierarchies

UNIFIED = """\
24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 24 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""

HYBRID = """\
32 24 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
33 32 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 32 0:30 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
38 32 0:34 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
39 32 0:35 / /sys/fs/cgroup/memory rw,nosuid shared:16 - cgroup cgroup rw,memory
"""


def test_version_2_is_one_hierarchy() -> None:
    assert hierarchies(UNIFIED) == [Hierarchy(Path("/sys/fs/cgroup"), 2)]


def test_version_1_is_a_hierarchy_per_mount_beside_the_unified_one() -> None:
    assert hierarchies(HYBRID) == [
        Hierarchy(Path("/sys/fs/cgroup/unified"), 2),
        Hierarchy(Path("/sys/fs/cgroup/systemd"), 1),
        Hierarchy(Path("/sys/fs/cgroup/cpu,cpuacct"), 1, frozenset({"cpu", "cpuacct"})),
        Hierarchy(Path("/sys/fs/cgroup/memory"), 1, frozenset({"memory"})),
    ]


def test_a_second_mount_of_a_hierarchy_is_not_taken() -> None:
    again = "50 24 0:30 / /mnt/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd\n"
    assert len(hierarchies(HYBRID + again)) == len(hierarchies(HYBRID))


def test_a_mount_point_with_a_space_is_read() -> None:
    line = "31 24 0:27 / /mnt/c\\040groups rw shared:9 - cgroup2 cgroup2 rw\n"
    assert hierarchies(line) == [Hierarchy(Path("/mnt/c groups"), 2)]
