"""A small client of a language server that speaks over stdin and stdout (LSP 3.17)."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs


@attrs.define
class LanguageServer:
    """One running server. Use as a context manager: leaving it ends the process."""

    command: Sequence[str]
    environ: Mapping[str, str]
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    timeout: float = 60.0
    _process: subprocess.Popen[bytes] = attrs.field(init=False)
    _arrived: queue.Queue[dict[str, Any]] = attrs.field(factory=queue.Queue, init=False)
    _last: int = attrs.field(default=0, init=False)

    def __enter__(self) -> LanguageServer:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environ
        )
        threading.Thread(target=self._listen, daemon=True).start()
        capabilities = {
            "workspace": {"configuration": True},
            "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
        }
        self.request("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        self.notify("initialized", {})
        self.notify("workspace/didChangeConfiguration", {"settings": self.settings})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def request(self, method: str, parameters: Mapping[str, Any]) -> Any:
        """The server's result. Raises AssertionError for an error, queue.Empty when none comes in time."""
        self._last += 1
        self._send({"id": self._last, "method": method, "params": parameters})
        while True:
            message = self._next()
            if message.get("id") == self._last and "method" not in message:
                assert "error" not in message, message["error"]
                return message["result"]

    def notify(self, method: str, parameters: Mapping[str, Any]) -> None:
        """Tell the server something."""
        self._send({"method": method, "params": parameters})

    def open(self, file: Path, text: str) -> list[dict[str, Any]]:
        """Open a document and return its diagnostics."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == file.as_uri():
                found: list[dict[str, Any]] = message["params"]["diagnostics"]
                return found

    def complete(self, file: Path, line: int, column: int) -> list[dict[str, Any]]:
        """What may stand at a place of an open document; line and column count from 0."""
        where = {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": column}}
        result = self.request("textDocument/completion", where)
        items: list[dict[str, Any]] = result["items"] if isinstance(result, dict) else result
        return items

    def hover(self, file: Path, line: int, column: int) -> str:
        """What the editor shows under the pointer."""
        where = {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": column}}
        result = self.request("textDocument/hover", where)
        return str(result["contents"]["value"]) if result else ""

    def _next(self) -> dict[str, Any]:
        """The next message that is for us; what the server asks of an editor is answered."""
        while True:
            message = self._arrived.get(timeout=self.timeout)
            if "method" in message and "id" in message:
                answer: Any = None
                if message["method"] == "workspace/configuration":
                    answer = [self.settings.get(item.get("section"), {}) for item in message["params"]["items"]]
                self._send({"id": message["id"], "result": answer})
            else:
                return message

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        while True:
            length = 0
            while (line := pipe.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            if not line:
                return
            self._arrived.put(json.loads(pipe.read(length)))
