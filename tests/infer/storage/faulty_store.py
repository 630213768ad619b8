"""A local S3 server, and a proxy that answers late, with errors, or breaks off."""

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

SECRET = "not-to-be-seen-0123456789"
KEY = "AKIANOTTOBESEEN"
# The server takes no names with line breaks, as S3 does: behind the proxy they are spelt so.
LINE_BREAK = ".LF."
_SERVER = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""

# Seconds to wait; an error; an answer that is cut in its middle; a connection that is closed before
# anything was done, or when it was done and not answered yet; None: as it should be.
Fault = float | Literal["403", "500", "503", "cut", "closed before", "closed after"] | None
_ERRORS = {"403": "AccessDenied", "500": "InternalError", "503": "SlowDown"}
Choose = Callable[[str, str], Fault]  # of the method and the path with its query


class FaultyStore:
    """Where the proxy listens, what it is to do wrong, and what was asked of it."""

    def __init__(self, server_port: int) -> None:
        self.choose: Choose = lambda method, path: None
        self.asked: list[str] = []  # "GET /bucket/key?query"
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(server_port))
        self._proxy.daemon_threads = True
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"
        self.server_url = f"http://127.0.0.1:{server_port}"

    def end(self) -> None:
        """Stop listening; connections that are open answer no more."""
        self.choose = lambda method, path: "closed before"
        self._proxy.shutdown()
        self._proxy.server_close()

    def _handler(self, server_port: int) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                store.asked.append(f"{self.command} {self.path}")
                fault = store.choose(self.command, self.path)
                if isinstance(fault, float):
                    time.sleep(fault)
                if fault in _ERRORS:
                    code = _ERRORS[fault]
                    self._send(int(fault), {}, f"<Error><Code>{code}</Code></Error>".encode())
                    return
                if fault == "closed before":
                    self.close_connection = True
                    return
                connection = http.client.HTTPConnection("127.0.0.1", server_port)
                path = self.path.replace("%0A", LINE_BREAK)
                connection.request(self.command, path, body, dict(self.headers))
                got = connection.getresponse()
                content = got.read()
                if "list-type" in path:
                    content = content.replace(LINE_BREAK.encode(), b"%0A")
                connection.close()
                if fault == "closed after":
                    self.close_connection = True
                    return
                headers = {
                    name: value
                    for name, value in got.getheaders()
                    if name.lower() not in ("connection", "transfer-encoding", "date", "server")
                }
                if self.command == "HEAD":
                    self._send(got.status, headers, b"")
                    return
                headers["Content-Length"] = str(len(content))
                if fault == "cut":
                    content = content[: len(content) // 2]
                self._send(got.status, headers, content)
                if fault == "cut":
                    self.close_connection = True

            def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

            def log_message(self, *words: Any) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # of who did not wait for the answer
                    super().handle()

        return Handler


@contextlib.contextmanager
def running() -> Iterator[FaultyStore]:
    """A server with a proxy; this process's environment leads to it meanwhile."""
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        store = FaultyStore(int(server.stdout.readline()))
        before = dict(os.environ)
        os.environ |= {
            "AWS_ENDPOINT_URL": store.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            yield store
        finally:
            os.environ.clear()
            os.environ |= before
            store.end()
    finally:
        server.stdin.close()
        server.stdout.close()
        server.kill()
        server.wait()
