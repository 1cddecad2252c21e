"""What Node has no call for: attributes, extents, devices, paths beyond PATH_MAX; and the walk that records a tree.

Reads one request a line as JSON, answers one line each. Paths are relative to a root, one character a byte (latin1),
and are gone along one directory at a time, because a path may be longer than the kernel takes.
"""
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import socket
import stat
import struct
import sys

FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
GETFLAGS, SETFLAGS, SET_RECEIVED = 0x80086601, 0x40086602, 0xC0C89425
# linux/btrfs_tree.h: the root of a subvolume, and the empty directory that a snapshot shows in place of a nested one.
SUBVOLUME_ROOT, STAND_IN = 256, 2
libc = ctypes.CDLL(None, use_errno=True)


def raw(text):
    return text.encode("latin1")


@contextlib.contextmanager
def parent(root, path):
    """The directory that holds an entry, and the entry's name."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *directories, name = raw(path).split(b"/")
        for part in directories:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened(root, path, flags):
    with parent(root, path) as (directory, name):
        descriptor = os.open(name, flags | os.O_NOFOLLOW, 0o644, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def by_descriptor(directory, name):
    return b"/proc/self/fd/%d/%s" % (directory, name)


def content(seed, length, repeats):
    if repeats:
        return (hashlib.shake_128(raw(seed)).digest(16).hex().encode() * (length // 32 + 1))[:length]
    return hashlib.shake_128(raw(seed)).digest(length)


def write(root, path, seed, length, offset=0, append=False, truncate=False, repeats=False):
    extra = (os.O_APPEND if append else 0) | (os.O_TRUNC if truncate else 0)
    with opened(root, path, os.O_WRONLY | os.O_CREAT | extra) as file:
        data = content(seed, length, repeats)
        os.write(file, data) if append else os.pwrite(file, data, offset)


def truncate(root, path, length):
    with opened(root, path, os.O_WRONLY) as file:
        os.ftruncate(file, length)


def fallocate(root, path, mode, offset, length):
    with opened(root, path, os.O_RDWR) as file:
        if libc.fallocate(file, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")


def mkdir(root, path):
    with parent(root, path) as (directory, name):
        os.mkdir(name, 0o755, dir_fd=directory)


def mkdirs(root, path, name, depth):
    """A chain of directories of one name, with a file at its end."""
    with contextlib.ExitStack() as stack:
        descriptor, first = stack.enter_context(parent(root, path))
        os.mkdir(first, dir_fd=descriptor)
        current = os.open(first, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        for _ in range(depth):
            os.mkdir(raw(name), dir_fd=current)
            below = os.open(raw(name), os.O_RDONLY | os.O_DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        os.close(os.open(b"bottom", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=current))
        os.close(current)


def mknod(root, path, kind, major=0, minor=0):
    with parent(root, path) as (directory, name):
        if kind == "socket":
            with socket.socket(socket.AF_UNIX) as endpoint:
                endpoint.bind(by_descriptor(directory, name))
            return
        types = {"fifo": stat.S_IFIFO, "character": stat.S_IFCHR, "block": stat.S_IFBLK}
        os.mknod(name, types[kind] | 0o640, os.makedev(major, minor), dir_fd=directory)


def link(root, source, path):
    with parent(root, source) as (a, old), parent(root, path) as (b, new):
        os.link(old, new, src_dir_fd=a, dst_dir_fd=b, follow_symlinks=False)


def symlink(root, path, target):
    with parent(root, path) as (directory, name):
        os.symlink(raw(target), name, dir_fd=directory)


def rename(root, source, path, exchange=False):
    with parent(root, source) as (a, old), parent(root, path) as (b, new):
        if libc.renameat2(a, old, b, new, 2 if exchange else 0) != 0:
            raise OSError(ctypes.get_errno(), "rename")


def remove(root, path):
    with parent(root, path) as (directory, name):
        remove_below(directory, name)


def remove_below(directory, name):
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        for entry in os.listdir(descriptor):
            remove_below(descriptor, os.fsencode(entry))
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=directory)


def chmod(root, path, mode):
    with parent(root, path) as (directory, name):
        os.chmod(name, mode, dir_fd=directory)


def chown(root, path, uid, gid):
    with parent(root, path) as (directory, name):
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)


def utime(root, path, ns):
    with parent(root, path) as (directory, name):
        os.utime(name, ns=(int(ns), int(ns)), dir_fd=directory, follow_symlinks=False)


def setxattr(root, path, key, value):
    with parent(root, path) as (directory, name):
        os.setxattr(by_descriptor(directory, name), raw(key), bytes.fromhex(value), follow_symlinks=False)


def removexattr(root, path, key):
    with parent(root, path) as (directory, name):
        os.removexattr(by_descriptor(directory, name), raw(key), follow_symlinks=False)


def acl(root, path, default, uid, perm):
    entries = [(1, 7, -1), (2, perm, uid), (4, 5, -1), (16, 7, -1), (32, 0, -1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    setxattr(root, path, "system.posix_acl_default" if default else "system.posix_acl_access", value.hex())


def capability(root, path, permitted):
    setxattr(root, path, "security.capability", struct.pack("<IIIII", 0x02000001, permitted, 0, 0, 0).hex())


def reflink(root, source, path, source_root=None):
    with opened(source_root or root, source, os.O_RDONLY) as old:
        with opened(root, path, os.O_RDWR | os.O_CREAT) as new:
            fcntl.ioctl(new, FICLONE, old)


def clone_range(root, source, path, source_offset, length, offset, source_root=None):
    with opened(source_root or root, source, os.O_RDONLY) as old, opened(root, path, os.O_RDWR) as new:
        fcntl.ioctl(new, FICLONERANGE, struct.pack("qQQQ", old, source_offset, length, offset))


def dedupe(root, source, path, source_offset, length, offset, source_root=None):
    with opened(source_root or root, source, os.O_RDONLY) as old, opened(root, path, os.O_RDWR) as new:
        request = bytearray(struct.pack("QQHHIqQQiI", source_offset, length, 1, 0, 0, new, offset, 0, 0, 0))
        fcntl.ioctl(old, FIDEDUPERANGE, request)
        return struct.unpack("QQHHIqQQiI", request)[7]


def setflags(root, path, add=0, drop=0):
    with opened(root, path, os.O_RDONLY | os.O_NONBLOCK) as file:
        (flags,) = struct.unpack("l", fcntl.ioctl(file, GETFLAGS, struct.pack("l", 0)))
        fcntl.ioctl(file, SETFLAGS, struct.pack("l", (flags | add) & ~drop))


def set_received(root, uuid, transid):
    """What btrfs receive does last, for a subvolume that is writable."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        request = struct.pack("=16sQQQQQQQ128s", bytes.fromhex(uuid.replace("-", "")), transid, *[0] * 6, b"")
        fcntl.ioctl(descriptor, SET_RECEIVED, request)
    finally:
        os.close(descriptor)


TYPES = {"d": stat.S_ISDIR, "f": stat.S_ISREG, "l": stat.S_ISLNK, "p": stat.S_ISFIFO, "s": stat.S_ISSOCK, "c": stat.S_ISCHR}


def type_of(mode):
    return next((letter for letter, test in TYPES.items() if test(mode)), "b")


def entries_below(root):
    """Every entry as directory descriptor, name, path and status; nested subvolumes and what stands for them are left out."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    device = os.fstat(top).st_dev

    def below(directory, prefix):
        for name in sorted(os.fsencode(entry) for entry in os.listdir(directory)):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            is_directory = stat.S_ISDIR(status.st_mode)
            if status.st_dev != device or (is_directory and status.st_ino in (STAND_IN, SUBVOLUME_ROOT)):
                continue
            yield directory, name, prefix + name, status
            if is_directory:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
                try:
                    yield from below(inner, prefix + name + b"/")
                finally:
                    os.close(inner)

    try:
        yield top, b".", b".", os.fstat(top)
        yield from below(top, b"")
    finally:
        os.close(top)


def list_tree(root):
    return [
        {"path": path.decode("latin1"), "type": type_of(status.st_mode), "size": status.st_size}
        for _, _, path, status in entries_below(root)
        if path != b"."
    ]


def attributes_of(place):
    names = os.listxattr(place, follow_symlinks=False)
    return {name: os.getxattr(place, os.fsencode(name), follow_symlinks=False).hex() for name in sorted(names)}


def digest_of(directory, name):
    descriptor = os.open(name, os.O_RDONLY | os.O_NOATIME, dir_fd=directory)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(root):
    """Everything that a restore has to bring back, by path."""
    found, linked = {}, {}
    for directory, name, path, status in entries_below(root):
        kind = type_of(status.st_mode)
        record = {
            "type": kind,
            "mode": oct(stat.S_IMODE(status.st_mode)),
            "owner": f"{status.st_uid}:{status.st_gid}",
            "mtime": str(status.st_mtime_ns),
        }
        attributes = attributes_of(by_descriptor(directory, name))
        if attributes:
            record["xattrs"] = attributes
        if kind == "f":
            record["size"] = status.st_size
            record["sha256"] = digest_of(directory, name)
        if kind == "l":
            record["target"] = os.readlink(name, dir_fd=directory).decode("latin1")
        if kind in "cb":
            record["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        if kind != "d" and status.st_nlink > 1:
            first = linked.setdefault(status.st_ino, path.decode("latin1"))
            record["links"] = f"{status.st_nlink} with {first}"
        found[path.decode("latin1")] = record
    return found


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        write, truncate, fallocate, mkdir, mkdirs, mknod, link, symlink, rename, remove, chmod, chown, utime, setxattr,
        removexattr, acl, capability, reflink, clone_range, dedupe, setflags, set_received, list_tree, walk,
    )
}

sys.setrecursionlimit(10_000)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"result": OPERATIONS[request.pop("operation")](**request)}
    except OSError as error:
        answer = {"refused": os.strerror(error.errno) if error.errno else str(error)}
    except Exception as error:  # noqa: BLE001: a mistake in here must be seen where the request was made
        answer = {"mistake": repr(error)}
    print(json.dumps(answer), flush=True)
