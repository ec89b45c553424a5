"""Reads a run's TensorBoard event files without TensorBoard: checks every record's CRC-32C and prints what it holds as JSON.

Usage: read_events.py FOLDER. One line an event file: {"file", "events": [{"step", "tags": {tag: scalar or kind}}]}.
"""

import json
import pathlib
import struct
import sys

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        length, check = struct.unpack("<QI", data[:12])
        assert masked_crc(data[:8]) == check, "check sum of a length"
        record, after = data[12:12 + length], data[12 + length:16 + length]
        assert masked_crc(record) == struct.unpack("<I", after)[0], "check sum of a record"
        yield record
        data = data[16 + length:]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a Protocol Buffers message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = struct.unpack({1: "<d", 5: "<f"}[kind], data[at:at + size])[0], at + size
        yield key >> 3, value


def value_of(message):
    parts = dict(fields(message))
    tag = parts[1].decode()
    if 2 in parts:
        return tag, parts[2]
    if 4 in parts:
        return tag, "png" if dict(fields(parts[4]))[4].startswith(b"\x89PNG") else "image"
    if 5 in parts:
        histogram = dict(fields(parts[5]))
        assert len(histogram[6]) == len(histogram[7]) > 0, "as many counts as limits"
        counts = struct.unpack(f"<{len(histogram[7]) // 8}d", histogram[7])
        assert sum(counts) == histogram[3], "every value is in one bucket"
        return tag, "histogram"
    return tag, "metadata"


def event_of(record):
    parts = {}
    tags = {}
    for number, value in fields(record):
        parts[number] = value
        if number == 5:
            tags |= dict(value_of(summary) for _, summary in fields(value))
    return {"step": parts.get(2, 0), "version": parts.get(3, b"").decode(), "tags": tags}


for path in sorted(pathlib.Path(sys.argv[1]).rglob("events.out.tfevents.*")):
    events = [event_of(record) for record in records(path.read_bytes())]
    print(json.dumps({"file": str(path.relative_to(sys.argv[1])), "events": events}))
