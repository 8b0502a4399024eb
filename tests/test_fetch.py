"""Downloads from a server on the loopback interface: verified, whole or not at all, mirrors in turn."""

import hashlib
import http.server
import socket
import threading

import pytest

from minigan import data
from minigan.data import idx, mirrors
from minigan.errors import DataError

BODIES = {f"{stem}.gz": stem.encode() * 50 for stem in idx.FILES}
FILES = tuple(mirrors.File(name, len(b), hashlib.sha256(b).hexdigest()) for name, b in BODIES.items())


class Server(http.server.ThreadingHTTPServer):
    """Serves `bodies` by path; counts what is asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        declared, chunks = body
        if declared is None:
            self.wfile.writelines(chunks)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        try:
            for chunk in chunks:
                self.wfile.write(chunk)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name, body in BODIES.items():
            server.bodies[f"/good/{name}"] = (len(body), [body])
        yield server
        server.shutdown()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "minigan" / "mnist"


def from_mirrors(monkeypatch, *urls):
    monkeypatch.setitem(mirrors.REMOTES, "mnist", mirrors.Remote(urls, FILES))


def kept(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.exists() else {}


def test_fetch(server, cache, monkeypatch):
    from_mirrors(monkeypatch, server.url + "good/")
    calls = []
    assert data.fetch("mnist", lambda *call: calls.append(call)) == cache
    assert kept(cache) == BODIES
    assert {name for name, _, _ in calls} == set(BODIES)
    assert all(0 < done <= total == len(BODIES[name]) for name, done, total in calls)
    assert all((name, len(body), len(body)) in calls for name, body in BODIES.items())


def test_what_is_there_is_kept_and_what_is_broken_is_replaced(server, cache, monkeypatch):
    from_mirrors(monkeypatch, server.url + "good/")
    data.fetch("mnist")
    server.asked.clear()
    data.fetch("mnist")
    assert server.asked == []
    broken = sorted(BODIES)[1]
    (cache / broken).write_bytes(BODIES[broken][:-1] + b"!")
    data.fetch("mnist")
    assert server.asked == [f"/good/{broken}"] and kept(cache) == BODIES


def test_a_file_from_a_local_mirror(cache, monkeypatch, tmp_path):
    (tmp_path / "mirror").mkdir()
    for name, body in BODIES.items():
        (tmp_path / "mirror" / name).write_bytes(body)
    from_mirrors(monkeypatch, f"file://{tmp_path}/mirror/")
    data.fetch("mnist")
    assert kept(cache) == BODIES


def endless():
    while True:
        yield b"x" * 65536


# what a mirror sends for a file (declared length, chunks), and what the error says of it
BAD = {
    "404": (None, "404"),
    "no HTTP": (lambda body: (None, [b"nonsense\r\n\r\n"]), "nonsense"),
    "wrong bytes": (lambda body: (len(body), [bytes(len(body))]), "SHA-256"),
    "too short": (lambda body: (len(body) - 1, [body[:-1]]), "SHA-256"),
    "connection lost": (lambda body: (len(body), [body[:10]]), "10 bytes"),
    "too long": (lambda body: (len(body) + 9, [body + b"trailing!"]), "SHA-256"),
    "endless": (lambda body: (1 << 50, endless()), "SHA-256"),
}


def serve_bad(server, kind):
    """Puts the bad files under /bad/; the words that the error must hold."""
    make, words = BAD[kind]
    if make:
        server.bodies |= {f"/bad/{name}": make(body) for name, body in BODIES.items()}
    return words


@pytest.mark.parametrize("kind", BAD)
def test_second_mirror_is_tried(server, cache, monkeypatch, kind):
    serve_bad(server, kind)
    from_mirrors(monkeypatch, server.url + "bad/", server.url + "good/")
    data.fetch("mnist")
    assert kept(cache) == BODIES
    assert server.asked == [f"/{mirror}/{name}" for name in BODIES for mirror in ("bad", "good")]


@pytest.mark.parametrize("kind", BAD)
def test_no_good_mirror(server, cache, monkeypatch, kind):
    words = serve_bad(server, kind)
    from_mirrors(monkeypatch, server.url + "bad/", server.url + "worse/")
    with pytest.raises(DataError) as caught:
        data.fetch("mnist")
    message = str(caught.value)
    assert message.isprintable() and words in message and "404" in message and str(cache) in message
    assert all(name in message for name in BODIES)
    assert kept(cache) == {}


def test_offline(cache, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        from_mirrors(monkeypatch, url)
        with pytest.raises(DataError) as caught:
            data.fetch("mnist")
    message = str(caught.value)
    assert f"offline, put {', '.join(BODIES)} from {url} into {cache}" in message
    assert "refused" in message and message.isprintable() and not cache.exists()


def test_folder_that_cannot_be_written(server, cache, monkeypatch):
    from_mirrors(monkeypatch, server.url + "good/")
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        data.fetch("mnist")


def test_full_disk_leaves_nothing(server, cache, monkeypatch):
    from_mirrors(monkeypatch, server.url + "good/")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        data.fetch("mnist")
    assert kept(cache) == {}


@pytest.mark.parametrize("name", ["digits", "mnits"])
def test_what_cannot_be_fetched(name):
    with pytest.raises(DataError, match=f"'{name}' cannot be fetched"):
        data.fetch(name)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_table(name):
    """Four files each, as the format names them, full hashes, at least two mirrors."""
    remote = mirrors.REMOTES[name]
    assert [f.name for f in remote.files] == [f"{stem}.gz" for stem in idx.FILES]
    assert all(len(bytes.fromhex(f.sha256)) == 32 for f in remote.files)
    assert [f.size > 10**6 for f in remote.files] == [True, False, True, False]
    assert len(remote.mirrors) >= 2 and all(m.startswith("http") and m.endswith("/") for m in remote.mirrors)
