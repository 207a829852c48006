"""The frames of AWS's event streams: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html"""

import base64
import json
import struct
import zlib


def aws_frame(name: str, event: bytes) -> bytes:
    """The frame of one event, whose type is `name`, and which is JSON."""
    given = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_header(*each) for each in given.items())
    lengths = struct.pack("!II", 16 + len(headers) + len(event), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + event
    return message + struct.pack("!I", zlib.crc32(message))


def aws_model_frame(event: bytes) -> bytes:
    """The frame of an event in a model's own form."""
    return aws_frame("chunk", json.dumps({"bytes": base64.b64encode(event).decode()}).encode())


def _header(name: str, text: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(text)) + text.encode()
