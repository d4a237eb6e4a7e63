"""Writes small rar archives: the format of today (5) and that of the older sets (3), stored."""

import struct
import zlib
from pathlib import Path

SYMLINK, HARD_LINK, COPY = 1, 4, 5  # kinds of redirection, format 5


def entry(name, data=b"", *, folder=False, link=None, mode=None, method=0, encrypted=False, **lies):
    """One member.

    Args:
        name: str or bytes.
        data: bytes.
        folder: bool.
        link: tuple (kind, target), format 5 only.
        mode: int, of Unix.
        method: int 0 to 5. Above 0, `data` is what a tool is to make content of.
        encrypted: bool, only said so.
        lies: `size` or `crc`, for the header.
    """
    mode = (0o040755 if folder else 0o100644) if mode is None else mode
    name = name if isinstance(name, bytes) else name.encode()
    crc, size = lies.get("crc", zlib.crc32(data)), lies.get("size", len(data))
    return (name, data, folder, link, mode, method, encrypted, size, crc)


def write_rar(path, entries, *, version=5, volume=False):
    """Writes entries as one archive; `volume` marks it as one of several. Returns the path."""
    pack, parts = (_file5, []) if version == 5 else (_file3, [])
    if version == 5:
        parts = [b"Rar!\x1a\x07\x01\x00", _block5(1, _vint(int(volume)))]
    else:
        parts = [b"Rar!\x1a\x07\x00", _block3(0x73, int(volume), bytes(6))]
    parts += [pack(*fields) for fields in entries]
    parts.append(_block5(5, _vint(0)) if version == 5 else _block3(0x7B, 0x4000, b""))
    path = Path(path)
    path.write_bytes(b"".join(parts))
    return path


def _vint(number):
    """An integer, seven bits a byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _vint(rest) if rest else bytes([low])


def _block5(kind, body, data=b"", extra=b""):
    flags = bool(extra) | bool(data) << 1
    sizes = (_vint(len(extra)) if extra else b"") + (_vint(len(data)) if data else b"")
    head = _vint(kind) + _vint(flags) + sizes + body + extra
    head = _vint(len(head)) + head
    return struct.pack("<I", zlib.crc32(head)) + head + data


def _file5(name, data, folder, link, mode, method, encrypted, size, crc):
    has_crc = crc is not None
    body = _vint(folder | has_crc << 2) + _vint(size) + _vint(mode)
    body += struct.pack("<I", crc) if has_crc else b""
    body += _vint(method << 7) + _vint(1) + _vint(len(name)) + name  # 1: Unix
    extra = b""
    if link:
        kind, target = link
        record = _vint(5) + _vint(kind) + _vint(0) + _vint(len(target)) + target.encode()
        extra += _vint(len(record)) + record
    if encrypted:
        record = _vint(1) + _vint(0) + _vint(0) + bytes([15]) + bytes(range(32))
        extra += _vint(len(record)) + record
    return _block5(2, body, data, extra)


def _block3(kind, flags, body, data=b""):
    head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + data


def _file3(name, data, folder, link, mode, method, encrypted, size, crc):
    assert link is None  # a symbolic link is a mode here
    flags = 0x8000 | (0xE0 if folder else 0) | (0x04 if encrypted else 0)
    fields = (len(data), size, 3, crc, 0x58210000, 29, 0x30 + method, len(name), mode)
    return _block3(0x74, flags, struct.pack("<IIBIIBBHI", *fields) + name, data)
