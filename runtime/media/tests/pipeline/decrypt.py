# Decrypts an init segment and its media segments, as ISO/IEC 23001-7 says it, with the PyPI package cryptography: nothing of
# the packager's or ffmpeg's is in it. Boxes keep their sizes; those that speak of encryption become `free`.
#
# python3 decrypt.py FILE OUT < KEY (32 hexadecimal digits)

import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

data = bytearray(open(sys.argv[1], "rb").read())
key = bytes.fromhex(sys.stdin.read().strip())
# How many bytes come before the boxes that are inside.
INSIDE = {"moov": 0, "trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "stsd": 8, "encv": 78, "enca": 28, "sinf": 0, "schi": 0, "mvex": 0, "moof": 0, "traf": 0}


def boxes(at, end):
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        kind = kind.decode("latin1")
        yield kind, at, at + size
        if kind in INSIDE:
            yield from boxes(at + 8 + INSIDE[kind], at + size)
        at += size


def u32(at):
    return struct.unpack(">I", data[at : at + 4])[0]


def cenc(iv, parts):
    run = Cipher(algorithms.AES(key), modes.CTR(iv.ljust(16, b"\0"))).decryptor()
    for begin, end in parts:
        data[begin:end] = run.update(bytes(data[begin:end]))


def cbcs(iv, parts, crypt, skip):
    for begin, end in parts:
        run = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        at, count = begin, 0
        while at + 16 <= end:
            if skip == 0 or count % (crypt + skip) < crypt:
                data[at : at + 16] = run.update(bytes(data[at : at + 16]))
            at, count = at + 16, count + 1


free, scheme, tenc, now = [], "", None, {}
for kind, at, end in boxes(0, len(data)):
    body = at + 8
    if kind in ("encv", "enca"):
        entry = at + 4
    elif kind == "frma":
        data[entry : entry + 4] = data[body : body + 4]
    elif kind == "schm":
        scheme = data[body + 4 : body + 8].decode()
    elif kind == "tenc":
        pattern, size = data[body + 5], data[body + 7]
        tenc = {"crypt": pattern >> 4, "skip": pattern & 15, "size": size, "iv": b"" if size else bytes(data[body + 25 : body + 25 + data[body + 24]])}
    elif kind == "moof":
        now = {"moof": at, "runs": []}
    elif kind == "tfhd":
        flags = u32(body)
        skip = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0) + (4 if flags & 8 else 0)
        now["size"] = u32(body + skip) if flags & 16 else 0
    elif kind == "trun":
        flags, count = u32(body), u32(body + 4)
        place = body + 12 + (4 if flags & 4 else 0)
        width = 4 * sum(1 for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag)
        sizes = [u32(place + n * width + (4 if flags & 0x100 else 0)) if flags & 0x200 else now["size"] for n in range(count)]
        now["runs"].append((now["moof"] + u32(body + 8), sizes))
    elif kind == "senc":
        flags, count, place = u32(body), u32(body + 4), body + 8
        now["senc"] = []
        for _ in range(count):
            iv = bytes(data[place : place + tenc["size"]]) or tenc["iv"]
            place += tenc["size"]
            parts = None
            if flags & 2:
                number = struct.unpack(">H", data[place : place + 2])[0]
                parts = [struct.unpack(">HI", data[place + 2 + n * 6 : place + 8 + n * 6]) for n in range(number)]
                place += 2 + 6 * number
            now["senc"].append((iv, parts))
    elif kind == "mdat":
        number = 0
        for begin, sizes in now["runs"]:
            for size in sizes:
                iv, parts = now["senc"][number] if "senc" in now and number < len(now["senc"]) else (tenc["iv"], None)
                ranges, at_sample = [], begin
                for clear, protected in parts or [(0, size)]:
                    at_sample += clear
                    ranges.append((at_sample, at_sample + protected))
                    at_sample += protected
                cenc(iv, ranges) if scheme == "cenc" else cbcs(iv, ranges, tenc["crypt"], tenc["skip"])
                begin, number = begin + size, number + 1
    if kind in ("sinf", "pssh", "senc", "saiz", "saio", "sbgp", "sgpd"):
        free.append(at + 4)
for at in free:
    data[at : at + 4] = b"free"
open(sys.argv[2], "wb").write(data)
