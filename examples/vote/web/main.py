"""A poll with two answers. Standard library only; the votes are in Redis."""

from __future__ import annotations

import html
import os
import signal
import string
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from votes import BallotBox, Closed

HERE = Path(__file__).parent
TITLE = os.environ.get("TITLE", "Cats or dogs?")
BASE_PATH = os.environ.get("BASE_PATH", "/").rstrip("/")
NOTICE = os.environ.get("NOTICE", "")
ANSWERS = {"first": "Cats", "second": "Dogs"}

box = BallotBox(os.environ.get("REDIS", "localhost"), answers=list(ANSWERS))


class Poll(BaseHTTPRequestHandler):
    """``GET /`` shows the poll, ``POST /`` counts an answer or starts again."""

    def do_GET(self) -> None:
        match self.place():
            case "/":
                self.show_poll()
            case "/healthz":
                self.answer(HTTPStatus.OK, "text/plain", "ok\n")
            case "/static/style.css":
                self.answer(HTTPStatus.OK, "text/css", (HERE / "static/style.css").read_text())
            case _:
                self.answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.\n")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace"))
        vote = form.get("vote", [""])[0]
        try:
            if vote == "reset":
                box.reset()
            elif vote in ANSWERS:
                box.add(vote)
            else:
                self.answer(HTTPStatus.BAD_REQUEST, "text/plain", "That is not on the ballot.\n")
                return
        except Closed as error:
            self.show_closed(error)
            return
        # back to the page by GET, so reloading it does not vote again
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def place(self) -> str:
        """The path that is asked for, the same below the Ingress's path and without."""
        path = self.path.partition("?")[0]
        return path.removeprefix(BASE_PATH) or "/"

    def show_poll(self) -> None:
        try:
            counts = box.counts()
        except Closed as error:
            self.show_closed(error)
            return
        values = {f"{answer}_votes": str(count) for answer, count in counts.items()}
        self.answer(HTTPStatus.OK, "text/html", page("index.html", values | ANSWERS))

    def show_closed(self, error: Closed) -> None:
        print(f"Redis at {box.address}: {error}", file=sys.stderr)
        self.answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/html", page("closed.html", {}))

    def answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # the kubelet asks every second; nobody wants to read that
        if self.path != "/healthz":
            super().log_request(code, size)


def page(template: str, values: dict[str, str]) -> str:
    """A page from its template, which is read anew each time: an edited one shows at the next request."""
    text = (HERE / "templates" / template).read_text()
    everywhere = {"title": TITLE, "notice": NOTICE, "base": BASE_PATH}
    return string.Template(text).safe_substitute(
        {name: html.escape(value) for name, value in (everywhere | values).items()}
    )


def main() -> None:
    port = int(os.environ.get("PORT", "80"))
    server = ThreadingHTTPServer(("", port), Poll)
    # the first process of a container is not ended by SIGTERM unless it says how
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"{TITLE} Answering on port {port}, votes at {box.address}")
    server.serve_forever()


if __name__ == "__main__":
    main()
