# Reads the pssh boxes of an init segment with the constructs, the protobuf schema and the XML reader that PyPI's cpix brings:
# nothing of ours or of the packager's is in it. Prints one JSON object by system.
#
# python3 signalled.py INIT

import base64
import json
import struct
import sys
import uuid

from cpix.drm import playready, widevine
from lxml import etree

data = open(sys.argv[1], "rb").read()


def boxes(at, end):
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        assert 8 <= size <= end - at, "a box that ends outside"
        yield kind, data[at : at + size]
        if kind == b"moov":
            yield from boxes(at + 8, at + size)
        at += size


found = {}
for kind, box in boxes(0, len(data)):
    if kind != b"pssh":
        continue
    system = str(uuid.UUID(bytes=box[12:28]))
    said = {"version": box[8]}
    if system == str(widevine.WIDEVINE_SYSTEM_ID):
        header = widevine.WidevineCencHeader.FromString(widevine.PSSH_BOX.parse(box).data)
        schemes = {number: name for name, number in widevine.PROTECTION_SCHEME.items()}
        said["kids"] = [it.hex() for it in header.key_id]
        said["scheme"] = schemes.get(header.protection_scheme)
    elif system == str(playready.PLAYREADY_SYSTEM_ID):
        whole = playready.pssh_box.parse(box).data
        length, records, record, size = struct.unpack("<IHHH", whole[:10])
        assert (length, records, record, size) == (len(whole), 1, 1, len(whole) - 10), "no object with one header"
        header = etree.fromstring(whole[10:].decode("utf-16-le"))
        space = "{http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader}"
        assert header.tag == space + "WRMHEADER", header.tag
        said["header"] = header.get("version")
        kids = header.findall(f".//{space}KID")
        text = lambda it: it.get("VALUE") or it.text
        said["kids"] = [uuid.UUID(bytes_le=base64.b64decode(text(it))).hex for it in kids]
        said["algorithms"] = [it.get("ALGID") or header.findtext(f".//{space}ALGID") for it in kids]
    else:
        count = struct.unpack(">I", box[28:32])[0] if box[8] == 1 else 0
        said["kids"] = [box[32 + n * 16 : 48 + n * 16].hex() for n in range(count)]
    assert system not in found, "a system twice"
    found[system] = said
print(json.dumps(found))
