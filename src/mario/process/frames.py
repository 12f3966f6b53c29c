"""Frames: a length of four bytes, big endian, then that many bytes. Never pickle: a frame is data to be judged.

What this module does not do: it neither makes nor closes sockets, and knows nothing of what a frame means.
"""

from __future__ import annotations

import select
import socket
import struct
import time

MAX_FRAME = 64 << 20  # a longer announcement is a broken or hostile peer, not a message
_LENGTH = struct.Struct(">I")


class FrameTimeout(Exception):
    pass


class FrameBroken(Exception):
    """The peer closed the stream, or announced a frame that is too long."""


def send_frame(sock: socket.socket, payload: bytes, deadline: float | None = None) -> None:
    """Send one frame whole; `deadline` is on the clock of `time.monotonic`.

    Raises:
        FrameTimeout: the peer did not take it all in time.
        FrameBroken: the peer is gone.
        ValueError: the payload is longer than MAX_FRAME.
    """
    if len(payload) > MAX_FRAME:
        raise ValueError(f"a frame holds at most {MAX_FRAME:,} bytes, got {len(payload):,}")
    rest = memoryview(_LENGTH.pack(len(payload)) + payload)
    while rest:
        _wait(sock, select.POLLOUT, deadline)
        try:
            rest = rest[sock.send(rest, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise FrameBroken(f"the other side is gone ({error.strerror})") from error


def receive_frame(sock: socket.socket, deadline: float | None = None) -> bytes:
    """Receive one frame whole.

    Raises:
        FrameTimeout: it did not come in time.
        FrameBroken: the stream ended, or a frame of more than MAX_FRAME bytes was announced.
    """
    (length,) = _LENGTH.unpack(_receive(sock, _LENGTH.size, deadline))
    if length > MAX_FRAME:
        raise FrameBroken(f"a frame of {length:,} bytes was announced, at most {MAX_FRAME:,} are read")
    return _receive(sock, length, deadline)


def _receive(sock: socket.socket, size: int, deadline: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        _wait(sock, select.POLLIN, deadline)
        try:
            part = sock.recv(min(size, 1 << 20), socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        except OSError as error:
            raise FrameBroken(f"the other side is gone ({error.strerror})") from error
        if not part:
            raise FrameBroken("the other side closed the stream")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _wait(sock: socket.socket, event: int, deadline: float | None) -> None:
    poll = select.poll()  # not select(): its descriptors end at 1023
    poll.register(sock.fileno(), event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(left):
        raise FrameTimeout
