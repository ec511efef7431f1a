"""Files that are called videos: each call ends within its limits, with a result or one message."""

import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from models.errors import InputError
from stages.limits import bounded_memory
from stages.probe import opened, probe
from stages.video import read_pictures, read_video
from tests.hostile.forks import ROOT, Ended, Forks

CLIP = ROOT / "examples" / "clip.mp4"
SMALL = ("--set", "frames.max_frames=8", "--set", "frames.min_fps=1", "--set", "frames.max_side=64")
CONTAINERS = ("mp4", "mkv", "avi", "ts", "flv", "h264", "mov")
BEGINNINGS = (
    b"RIFF\xff\xff\xff\xffAVI LIST", b"\x1aE\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff", b"GIF89a\xff\xff",
    b"FLV\1\5\0\0\0\x09", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"OggS\0\2", b"\x47\x40\x00\x10", b"\0\0\1\xba",
    b"#EXTM3U\n", b"ffconcat version 1.0\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"DKIF\0\0\x20\0AV01",
    b"YUV4MPEG2 W99999 H99999 F1:1\nFRAME\n", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b".RMF\0\0\0\x12",
    b"nut/multimedia container\0", b"\0\0\0\1\x67", b"\x06\x0e\x2b\x34\x02\x05\x01\x01",
)  # fmt: skip
EXTREMES = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, 2**28)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The example clip in several containers."""
    folder = tmp_path_factory.mktemp("containers")
    for kind in CONTAINERS:
        call = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(CLIP), "-c", "copy", "-an"]
        subprocess.run([*call, str(folder / f"a.{kind}")], check=True, stdin=subprocess.DEVNULL)
    return [(folder / f"a.{kind}").read_bytes() for kind in CONTAINERS]


def mutated(number: int, containers: list[bytes]) -> bytes:
    """The example clip, damaged in a way that only depends on the number."""
    random = np.random.default_rng(number)
    content = bytearray(containers[0 if number % 2 else random.integers(len(containers))])
    for _ in range(random.integers(1, 5)):
        size = len(content)
        at = int(random.integers(max(1, size)))
        length = int(2 ** random.uniform(0, 14))
        match random.integers(8):
            case 0:  # bits anywhere
                for place in random.integers(0, max(1, size), 20):
                    if place < size:
                        content[place] ^= 1 << int(random.integers(8))
            case 1:  # bits in the tables of an MP4, which lie at one of its ends
                place = max(0, content.find(b"moov")) + int(random.integers(2000))
                if place < size:
                    content[place] = int(random.integers(256))
            case 2:
                del content[max(1000, at) :]
            case 3:
                del content[at : at + length]
            case 4:  # a part twice
                content[at:at] = content[at : at + length]
            case 5:  # two atoms exchanged
                kinds = [
                    k for k in (b"trak", b"mdia", b"stbl", b"stts", b"stsz", b"stco", b"mvhd") if k in content
                ]
                if len(kinds) > 1:
                    one, other = random.choice(len(kinds), 2, replace=False)
                    first, second = content.find(kinds[one]), content.find(kinds[other])
                    content[first : first + 4], content[second : second + 4] = kinds[other], kinds[one]
            case 6:  # an extreme number behind the name of a table
                names = [
                    k for k in (b"stts", b"stsz", b"stsc", b"tkhd", b"mdhd", b"ctts", b"avc1") if k in content
                ]
                if names:
                    place = content.find(names[random.integers(len(names))]) + 4 * int(random.integers(1, 6))
                    content[place : place + 4] = int(random.choice(EXTREMES)).to_bytes(4, "big")
            case 7:  # the beginning of another format
                beginning = BEGINNINGS[random.integers(len(BEGINNINGS))]
                content[: len(beginning)] = beginning
    return bytes(content)


def wrong(ended: Ended) -> str:
    """What a call did that it must not; empty where it did nothing."""
    faults = {
        f"status {ended.status}": ended.status not in (0, 2),
        "a traceback": "Traceback" in ended.said,
        "not one message": ended.status == 2 and ended.said.count("Error: ") != 1,
        "a process left": ended.left,
    }
    return ", ".join(fault for fault, is_so in faults.items() if is_so)


def run_mutated(numbers: range, containers: list[bytes], folder: Path) -> None:
    """Calls `run` up to the pictures on clips that are damaged in many ways."""
    ends = {}
    with Forks(folder) as forks:
        for number in numbers:
            video = folder / f"{number}.mp4"
            video.write_bytes(mutated(number, containers))
            ended = forks.call("run", video, "--until", "frames", *SMALL)
            video.unlink()
            ends[number] = ended
    faults = {number: f"{fault}: {ends[number].said}" for number in ends if (fault := wrong(ends[number]))}
    assert not faults
    assert {ended.status for ended in ends.values()} == {0, 2}  # some are still good enough, some are not


def test_damaged_clips_end_within_their_limits(containers: list[bytes], tmp_path: Path) -> None:
    run_mutated(range(12), containers, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_300_damaged_clips_end_within_their_limits(containers: list[bytes], tmp_path: Path) -> None:
    run_mutated(range(300), containers, tmp_path)


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and what it was asked for; it has the example clip."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            content = CLIP.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


def crafted(address: str) -> dict[str, str]:
    """Texts that some program would follow: to the server, and to the file secret.mp4 beside them."""
    followed = (f"{address}/a.mp4", "secret.mp4", "SECRET", "file:SECRET", "concat:SECRET|SECRET")
    lists = {}
    for number, target in enumerate(followed):
        hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"
        lists[f"hls{number}"] = hls
        lists[f"hls-map{number}"] = hls.replace("#EXTINF", f'#EXT-X-MAP:URI="{target}"\n#EXTINF')
        lists[f"concat{number}"] = f"ffconcat version 1.0\nfile '{target}'\n"
    return {
        **lists,
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}/a.png"/></svg>',
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        f"<BaseURL>{address}/</BaseURL></Period></MPD>",
        "entity": f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{address}/x">]><MPD>&b;</MPD>',
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "data": "data:video/mp4;base64,AAAA",
        "asx": f'<asx version="3.0"><entry><ref href="{address}/a.mp4"/></entry></asx>',
        "pls": f"[playlist]\nFile1={address}/a.mp4\n",
        "avisynth": 'DirectShowSource("secret.mp4")\n',
        "smil": f'<smil><body><video src="{address}/a.mp4"/></body></smil>',
        "reference": f"rtsptext\n{address}/a.mp4\n",
    }


def test_a_crafted_playlist_is_not_followed(asked: tuple[str, list[str]], tmp_path: Path) -> None:
    address, paths = asked
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(CLIP.read_bytes())
    for name, text in crafted(address).items():
        playlist = tmp_path / f"{name}.mp4"
        playlist.write_text(text.replace("SECRET", str(secret)))
        with pytest.raises(InputError, match=r"cannot be read|is not a video"):
            probe(playlist)
        with pytest.raises(av.error.FFmpegError):
            opened(playlist)
        # ffmpeg itself, too, as if probe had been passed
        info = probe(secret)
        fooled = type(info)(**{**vars(info), "path": playlist})
        with pytest.raises(InputError, match="cannot be decoded"):
            list(read_video(fooled, (64, 48), 0.5))
    assert not paths


def test_the_playlists_would_be_followed_by_an_ffmpeg_without_limits(
    asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Else the test above would show nothing."""
    address, paths = asked
    (tmp_path / "secret.mp4").write_bytes(CLIP.read_bytes())
    (tmp_path / "a.mp4").write_text(crafted(address)["concat1"])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].width
    (tmp_path / "b.mp4").write_text(crafted(address)["concat0"])
    protocols = {"safe": "0", "protocol_whitelist": "file,http,tcp,crypto,data"}
    with av.open(str(tmp_path / "b.mp4"), options=protocols) as container:
        assert container.streams.video[0].width
    assert "/a.mp4" in paths


def test_addresses_in_the_place_of_the_video_are_files_that_do_not_exist(
    asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, paths = asked
    (tmp_path / "p001.png").write_bytes(b"")
    names = (f"{address}/a.mp4", "concat:a.mp4|b.mp4", "data:video/mp4;base64,AA", "p%03d.png", "pipe:0", "-")
    with Forks(tmp_path) as forks:
        for name in names:
            ended = forks.call("run", "--until", "frames", "--", name)
            assert ended.status == 2
            assert not wrong(ended)
    assert not paths


def test_names_like_patterns_and_protocols_mean_just_that_file(tmp_path: Path) -> None:
    for name in ("a%03d.mp4", "concat:a|b.mp4", "pipe:0", "[out].mp4", "-i.mp4"):
        (tmp_path / name).write_bytes(CLIP.read_bytes())
        info = probe(tmp_path / name)
        assert next(read_pictures(info, (64, 48))).shape == (48, 64, 4)


def test_metadata_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    content = CLIP.read_bytes()
    call = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(CLIP), "-c", "copy", "-metadata"]
    subprocess.run([*call, "title=XYZXYZXYZ", str(tmp_path / "a.mp4")], check=True, stdin=subprocess.DEVNULL)
    content = (tmp_path / "a.mp4").read_bytes()
    assert b"XYZXYZXYZ" in content
    (tmp_path / "a.mp4").write_bytes(content.replace(b"XYZXYZXYZ", b"\xff\xfe\xc0XYZXYZ"))
    assert len(probe(tmp_path / "a.mp4").times) == 48


def test_a_table_of_more_samples_than_the_file_can_have_takes_bounded_memory(tmp_path: Path) -> None:
    content = bytearray(CLIP.read_bytes())
    at = content.find(b"stsz") + 8
    content[at : at + 8] = (1).to_bytes(4, "big") + (20_000_000).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError), bounded_memory(100 * 2**20):
        probe(tmp_path / "a.mp4")


def test_a_clock_of_a_billion_pictures_a_second_is_refused(tmp_path: Path) -> None:
    content = bytearray(CLIP.read_bytes())
    for table in (b"mdhd", b"mvhd"):  # ticks a second: four bytes after two dates
        at = content.rfind(table) + 16
        content[at : at + 4] = (2_000_000_000).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match="its clock counts"):
        probe(tmp_path / "a.mp4")


def test_a_bound_on_memory_holds_in_its_block_alone() -> None:
    with bounded_memory(2**26), pytest.raises(MemoryError):
        bytearray(2**28)
    assert len(bytearray(2**28)) == 2**28
