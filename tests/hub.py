"""A hub on this machine, as far as huggingface_hub asks for it: repositories, uploads and downloads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["hub"]

COMMIT = "a" * 40


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        what = self.path.removeprefix("/api/")
        self.server.asked.append(what)
        if what == "repos/create":
            asked = json.loads(body)
            self.server.repositories.setdefault(f"{asked['organization']}/{asked['name']}", {})
            self.server.private = asked["visibility"] == "private"
            self.reply({"url": f"{self.server.address}/{asked['organization']}/{asked['name']}"})
        elif "/preupload/" in what:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.reply({"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]})
        elif "/commit/" in what:
            lines = [json.loads(line) for line in body.splitlines()]
            files = [line["value"] for line in lines if line["key"] == "file"]
            self.repository.update({file["path"]: base64.b64decode(file["content"]) for file in files})
            address = f"{self.server.address}/{self.named}/commit/{COMMIT}"
            self.reply({"commitUrl": address, "commitOid": COMMIT, "success": True})
        else:
            self.reply({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        self.server.asked.append(self.path.removeprefix("/api/"))
        if self.repository is None:
            self.reply({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in self.path:
            file = self.repository[self.path.rpartition("/")[2]]
            self.reply(file, 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(file).hexdigest()}"'})
        elif "/tree/" in self.path:
            sizes = {name: len(file) for name, file in self.repository.items()}
            self.reply([{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes.items()])
        else:
            self.reply({"id": self.path, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.repository]})

    do_HEAD = do_GET

    @property
    def named(self) -> str:
        """The repository that the path names."""
        return "/".join(self.path.removeprefix("/api/models").strip("/").split("/")[:2])

    @property
    def repository(self) -> Any:
        """Its files, or None."""
        return self.server.repositories.get(self.named)

    def reply(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


class Hub(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []  # paths, in the order of the requests
        self.private: bool | None = None  # of the repository created last
        self.address = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve an empty hub inside the block."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
