"""The frames of a connection that carry no call: settings, pings, resets, windows.

Rule: each is answered or obeyed at once, and counted by what it costs: a peer that sends little else is told to calm
down and cut off. Calls that were answered count against them, because decent peers send some with every call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reference_service.http2 import frames as wire
from reference_service.http2.frames import ConnectionBrokenError

if TYPE_CHECKING:
    from reference_service.http2.outgoing import Outgoing
    from reference_service.http2.stream import Stream

IDLE_FRAMES_MAX: Final = 4000
"""Frames a second that carry no call (pings, resets, windows, crumbs): clients send a few, attacks many thousands.

What decent clients sent while the machine stood still comes all at once, and is no attack."""
IDLE_FRAMES_EACH: Final = 4
"""For each call answered: its windows, a ping, a reset."""
SETTINGS_WEIGHT: Final = 40
"""Settings change every open call's window, so a hundred frames a second are enough."""
SETTINGS_MAX: Final = 32
"""Entries in one frame: there are six settings."""


class Control(asyncio.Protocol):
    """A connection's dealings with its peer beside the calls."""

    out: Outgoing

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self.answered_ping = asyncio.Event()
        self.idle_frames, self._idle_since_s = 0, 0.0

    def forget(self, stream: Stream) -> None:
        """A call is over."""
        raise NotImplementedError

    def resume(self, stream: Stream) -> None:
        """Send on what waited for the peer's window."""
        raise NotImplementedError

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Obey or answer a frame; raises ConnectionBrokenError."""
        self.idle(SETTINGS_WEIGHT if kind == wire.SETTINGS else 1)
        if kind == wire.WINDOW_UPDATE:
            self._on_credit(number, payload)
        elif kind == wire.SETTINGS:
            self._on_settings(flags, number, payload)
        elif kind == wire.PING:
            self._on_ping(flags, number, payload)
        elif kind == wire.RST_STREAM:
            self._on_reset(number, payload)
        elif kind == wire.PUSH_PROMISE:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a client that pushes")
        elif kind == wire.GOAWAY and number:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a farewell on a stream")
        elif kind == wire.PRIORITY:
            _sized(payload, 5)
            if not number:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a priority of the connection")
        # GOAWAY and what is unknown change nothing here

    def idle(self, weight: int = 1) -> None:
        """Count a frame that carries no call; raises ConnectionBrokenError when there are too many in a second."""
        now_s = self.loop.time()
        if now_s - self._idle_since_s >= 1:
            self.idle_frames, self._idle_since_s = 0, now_s
        self.idle_frames += weight
        if self.idle_frames > IDLE_FRAMES_MAX:
            raise ConnectionBrokenError(wire.ENHANCE_YOUR_CALM, "too many frames that carry no call")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        _sized(payload, 8)
        if number:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a ping on a stream")
        if flags & wire.ACK:
            self.answered_ping.set()
        else:
            self.out.frame(wire.PING, wire.ACK, 0, payload)

    def _on_reset(self, number: int, payload: bytes) -> None:
        _sized(payload, 4)
        if not number or number > self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a reset of a stream that was not opened")
        if number in self.streams:
            self.forget(self.streams[number])

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "settings of a stream")
        if len(payload) % wire.SETTING.size or (flags & wire.ACK and payload):
            raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, "settings of a wrong form")
        if len(payload) > SETTINGS_MAX * wire.SETTING.size:
            raise ConnectionBrokenError(wire.ENHANCE_YOUR_CALM, "more settings than there are")
        if flags & wire.ACK:
            return
        window = self.out.stream_credit
        for name, value in wire.SETTING.iter_unpack(payload):
            if name == wire.INITIAL_WINDOW_SIZE:
                window = value
            _allowed(name, value)
        self._new_window(window)
        self.out.frame(wire.SETTINGS, wire.ACK, 0)

    def _new_window(self, size: int) -> None:
        more, self.out.stream_credit = size - self.out.stream_credit, size
        if not more:
            return
        for stream in list(self.streams.values()):
            stream.credit += more
            if stream.credit > wire.MAX_WINDOW:
                raise ConnectionBrokenError(wire.FLOW_CONTROL_ERROR, "a window that can't be")
            if stream.pending:
                self.resume(stream)

    def _on_credit(self, number: int, payload: bytes) -> None:
        _sized(payload, 4)
        more = wire.U32.unpack(payload)[0] & wire.LAST_STREAM
        if not number:
            self.out.credit += more
            if not more:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a window wider by nothing")
            if self.out.credit > wire.MAX_WINDOW:
                raise ConnectionBrokenError(wire.FLOW_CONTROL_ERROR, "a window that can't be")
            self._resume_all()
        elif number in self.streams:
            self._stream_credit(self.streams[number], more)
        elif number > self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "credit for a stream that was not opened")

    def _stream_credit(self, stream: Stream, more: int) -> None:
        stream.credit += more
        if not more or stream.credit > wire.MAX_WINDOW:
            self.out.reset(stream.id, wire.FLOW_CONTROL_ERROR if more else wire.PROTOCOL_ERROR)
            self.forget(stream)
        elif stream.pending:
            self.resume(stream)

    def _resume_all(self) -> None:
        for stream in [stream for stream in self.streams.values() if stream.pending]:
            if self.out.credit <= 0:
                return
            self.resume(stream)


def _allowed(name: int, value: int) -> None:
    """Return if a setting may have this value (RFC 9113, 6.5.2)."""
    if name == wire.INITIAL_WINDOW_SIZE and value > wire.MAX_WINDOW:
        raise ConnectionBrokenError(wire.FLOW_CONTROL_ERROR, "a window that is too large")
    if name == wire.MAX_FRAME_SIZE and not wire.FRAME_MAX <= value < 1 << 24:
        raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "frames of a size that can't be")
    if name == wire.ENABLE_PUSH and value > 1:
        raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a setting that is neither on nor off")


def _sized(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, f"a frame that should have {size} bytes")
