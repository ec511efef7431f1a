"""A small web server that behaves as badly as it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server has and how it answers.

    Attributes:
        files: contents by their names.
        status: what it answers instead of a file, where not 200.
        ranges: whether it understands requests for a part.
        cut: bytes after which it closes the connection; None for never.
        chunked: send without saying how long it is.
        tag: the ETag of everything.
        length: the Content-Length that it claims; None for the true one.
        asked: name and Range header of every request.
    """

    files: dict[str, bytes]
    status: int = 200
    ranges: bool = True
    cut: int | None = None
    chunked: bool = False
    tag: str = '"one"'
    length: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, wanted = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, wanted))
        if self.status != 200 or name not in self.files:
            request.send_error(self.status if self.status != 200 else 404)
            return
        content, start = self.files[name], 0
        same = request.headers.get("If-Range") in (None, self.tag)
        if wanted and self.ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("ETag", self.tag)
        self._send(request, content[start:])

    def _send(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        sent = content[: self.cut]
        if self.chunked:
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            request.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) + (b"" if self.cut else b"0\r\n\r\n"))
        else:
            request.send_header("Content-Length", self.length or str(len(content)))
            request.end_headers()
            request.wfile.write(sent)
        request.close_connection = True


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
