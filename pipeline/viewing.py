"""The command `view`: a finished workspace or an avatar in the browser, by viser."""

import contextlib
import io
import json
import os
import socket
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import InputError
from pipeline.finished import finished, recorded_body
from pipeline.paths import absolute
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    import viser

HOST, PORT = "127.0.0.1", 8080
NEEDS = ("frames", "poses", "masks", "optimize")

Build = Callable[["viser.ViserServer"], Any]


def view(source: Path, host: str, port: int | None, told: Callable[[str], None]) -> None:
    """Shows a workspace or an avatar until Ctrl-C.

    Args:
        source: the workspace's folder, or an avatar.npz.
        host: address to listen at.
        port: port to listen at; None: `PORT`, or the next one that is free.
        told: gets what a person should know.

    Raises:
        InputError: there is nothing to show, or the address cannot be used.
    """
    build = scene_of(absolute(source))
    server = listen(host, port, source.stem)
    try:
        shown = build(server)
        if port is None and server.get_port() != PORT:
            told(f"Port {PORT} is taken.")
        told(f"Open http://{host}:{server.get_port()} in a browser. Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(shown):
            threading.Event().wait()
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            server.stop()


def scene_of(source: Path) -> Build:
    """What builds the scene of a workspace or an avatar, all of it read, checked and quick to show.

    Raises:
        InputError: it is neither, has not finished, or is damaged.
    """
    folder = source.is_dir()
    # What is plainly wrong is told at once; the libraries below take seconds to import.
    if not folder:
        _expect_npz(source)
    folders = finished(Workspace(source), NEEDS) if folder else {}

    from models.avatar import Avatar
    from models.body import load_body
    from pipeline.scenes import AvatarScene, ClipScene, prepare
    from stages.export.clip import Clip

    if not folder:
        avatar = Avatar.load(source)
        prepare(avatar)
        return lambda server: AvatarScene(server, avatar)
    clip = Clip.load(folders, load_body(recorded_body(Workspace(source))))
    prepare(clip.avatar)
    history = json.loads((folders["optimize"] / "history.json").read_text("utf-8"))
    return lambda server: ClipScene(server, clip, history)


def _expect_npz(source: Path) -> None:
    advice = "Give a workspace's folder or an avatar.npz."
    if not source.exists():
        raise InputError(f"{source} does not exist.", advice)
    if not (source.is_file() and os.access(source, os.R_OK)):
        raise InputError(f"{source} cannot be read.", advice)
    if not zipfile.is_zipfile(source):
        raise InputError(f"{source} is not an avatar file.", advice)


def listen(host: str, port: int | None, label: str) -> "viser.ViserServer":
    """A server at a port, or, where none was asked for, at the first one from `PORT` on that is free.

    Raises:
        InputError: the address cannot be used, or the port is taken.
    """
    import viser

    wanted = PORT if port is None else port
    _check(host, port)
    with contextlib.redirect_stdout(io.StringIO()):  # where it tells its address in its own way
        server = viser.ViserServer(host=host, port=wanted, label=label, verbose=False)
    if port and server.get_port() != port:  # taken in the meantime: viser went on to the next
        server.stop()
        raise _taken(host, port)
    return server


def _check(host: str, port: int | None) -> None:
    """viser tries port after port, whatever is wrong with an address."""
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise InputError(f"There is no address {host}: {error.strerror}.", "Leave out --host.") from error
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port or 0))
        except OSError as error:
            if port:
                raise _taken(host, port, str(error.strerror)) from error
            raise InputError(f"{host} is no address of this machine.", "Leave out --host.") from error


def _taken(host: str, port: int, reason: str = "Address already in use") -> InputError:
    return InputError(
        f"{host}:{port} cannot be used: {reason}.", "Name another --port, or leave it out for a free one."
    )
