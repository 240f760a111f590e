"""A WebSocket client over the standard library: what the Python and JavaScript clients of Kubernetes do on the wire,
with every byte under the test's control."""
import base64
import os
import socket
import struct


class Refused(Exception):
    pass


class WebSocketClient:
    """Connects to a path of the API server; `protocols` are the subprotocols to offer."""

    def __init__(self, api, path: str, protocols=(), timeout: float = 15, receive_buffer: int = 0):
        connection = api.connect(timeout)
        connection.connect()
        self.socket = connection.sock
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        lines = [f"GET {path} HTTP/1.1", f"Host: {api.host}:{api.port}", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        if not self.head.startswith("HTTP/1.1 101"):
            raise Refused(self.head + "\n" + self.buffer.decode(errors="replace"))
        self.protocol = next((line.split(": ", 1)[1] for line in self.head.splitlines()
                              if line.lower().startswith("sec-websocket-protocol:")), "")

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, data: bytes, opcode: int = 2) -> None:
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        elif len(data) < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(data))
        # A mask of zeros is a mask.
        self.socket.sendall(head + bytes(4) + data)

    def frame(self) -> tuple:
        """(opcode, payload) of the next frame."""
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return first & 0x0F, self._take(length)

    def read(self):
        """The next message, or None once the server closed properly. Answers pings."""
        while True:
            opcode, payload = self.frame()
            if opcode == 9:
                self.send(payload, 10)
            elif opcode == 8:
                self.close_code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                self.send(payload, 8)
                return None
            elif opcode in (1, 2):
                return payload

    def channels(self) -> dict:
        """Everything until the server closes, by channel."""
        seen = {}
        while True:
            message = self.read()
            if message is None:
                return seen
            if message:
                seen[message[0]] = seen.get(message[0], b"") + message[1:]

    def vanish(self) -> None:
        """Ends the connection without a word of WebSocket or TLS."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
