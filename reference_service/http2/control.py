"""The frames of a connection that carry no call: settings, pings, resets, windows.

Rule: each is answered or obeyed at once, and counted: a peer that sends nothing else is told to calm down and cut off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reference_service.http2 import frames as wire
from reference_service.http2.frames import ConnectionBrokenError

if TYPE_CHECKING:
    from reference_service.http2.outgoing import Outgoing
    from reference_service.http2.stream import Stream

IDLE_FRAMES_MAX: Final = 2000
"""Frames a second that carry no call (pings, resets, settings, empty data): clients send a few, attacks thousands."""


class Control(asyncio.Protocol):
    """A connection's dealings with its peer beside the calls."""

    out: Outgoing

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self.answered_ping = asyncio.Event()
        self._idle_frames, self._idle_since_s = 0, 0.0

    def forget(self, stream: Stream) -> None:
        """A call is over."""
        raise NotImplementedError

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Obey or answer a frame; raises ConnectionBrokenError."""
        if kind == wire.WINDOW_UPDATE:
            self._on_credit(number, payload)
            return
        self.idle()
        if kind == wire.SETTINGS:
            self._on_settings(flags, number, payload)
        elif kind == wire.PING:
            _sized(payload, 8)
            if flags & wire.ACK:
                self.answered_ping.set()
            else:
                self.out.frame(wire.PING, wire.ACK, 0, payload)
        elif kind == wire.RST_STREAM:
            self._on_reset(number, payload)
        elif kind == wire.PUSH_PROMISE:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a client that pushes")
        # PRIORITY, GOAWAY and what is unknown change nothing here

    def idle(self) -> None:
        """Count a frame that carries no call; raises ConnectionBrokenError when there are too many in a second."""
        now_s = self.loop.time()
        if now_s - self._idle_since_s >= 1:
            self._idle_frames, self._idle_since_s = 0, now_s
        self._idle_frames += 1
        if self._idle_frames > IDLE_FRAMES_MAX:
            raise ConnectionBrokenError(wire.ENHANCE_YOUR_CALM, "too many frames that carry no call")

    def _on_reset(self, number: int, payload: bytes) -> None:
        _sized(payload, 4)
        if not number or number > self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a reset of a stream that was not opened")
        if number in self.streams:
            self.forget(self.streams[number])

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) % wire.SETTING.size or (flags & wire.ACK and payload):
            raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, "settings of a wrong form")
        if flags & wire.ACK:
            return
        for name, value in wire.SETTING.iter_unpack(payload):
            if name == wire.INITIAL_WINDOW_SIZE:
                if value > wire.MAX_WINDOW:
                    raise ConnectionBrokenError(wire.FLOW_CONTROL_ERROR, "a window that is too large")
                for stream in self.streams.values():
                    stream.credit += value - self.out.stream_credit
                self.out.stream_credit = value
        self.out.frame(wire.SETTINGS, wire.ACK, 0)
        self._resume_all()

    def _on_credit(self, number: int, payload: bytes) -> None:
        _sized(payload, 4)
        more = wire.U32.unpack(payload)[0] & wire.LAST_STREAM
        if not number:
            self.out.credit += more
            if not more or self.out.credit > wire.MAX_WINDOW:
                raise ConnectionBrokenError(wire.FLOW_CONTROL_ERROR, "a window that can't be")
            self._resume_all()
        elif number in self.streams:
            stream = self.streams[number]
            stream.credit += more
            if not more or stream.credit > wire.MAX_WINDOW:
                self.out.reset(number, wire.FLOW_CONTROL_ERROR)
                self.forget(stream)
            elif stream.pending and self.out.resume(stream):
                self.forget(stream)
        elif number > self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "credit for a stream that was not opened")

    def _resume_all(self) -> None:
        for stream in [stream for stream in self.streams.values() if stream.pending]:
            if self.out.resume(stream):
                self.forget(stream)


def _sized(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, f"a frame that should have {size} bytes")
