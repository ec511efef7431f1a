"""The command line: parses, calls, prints."""

import json
import os
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

import stages
from models.errors import HsplatError
from models.weights.download import Progress
from pipeline import config, console, rendering, weights
from pipeline.batch.calling import Call, run_batch
from pipeline.batch.clips import Shard
from pipeline.batch.display import display, summary
from pipeline.batch.overview import write as write_overview
from pipeline.batch.standing import describe_folder, folder_as_text, is_folder_of_clips
from pipeline.bodies import body_file
from pipeline.console import say
from pipeline.doctor import examine, rows
from pipeline.evaluation import as_tables, evaluate_workspace
from pipeline.exporting import Selection, export_workspace
from pipeline.paths import absolute
from pipeline.run import check_call, run_clip
from pipeline.status import as_text, describe
from pipeline.stopping import Terminated, stoppable
from pipeline.transfers import transfer
from pipeline.viewing import HOST, PORT
from pipeline.viewing import view as show
from pipeline.workspace import Workspace, default_folder

app = typer.Typer(
    name="hsplat-pipeline",
    help="From an ordinary video of a person to an animatable 3D Gaussian avatar and corrected 3D motion.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

weights_app = typer.Typer(help="Downloaded weights of the real models.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks; write a more talkative log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    video: Annotated[Path, typer.Argument(help="The clip.", show_default=False)],
    workspace: Annotated[
        Path | None,
        typer.Option(help="Where everything goes.", show_default="NAME.hsplat in the current folder"),
    ] = None,
    preset: Annotated[str, typer.Option(help="fast, default or quality.")] = "default",
    config_file: Annotated[
        Path | None, typer.Option("--config", help="YAML with keys of configs/default.yaml.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One key, such as frames.fps=10; repeatable."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    poses: Annotated[
        Path | None, typer.Option(help="Poses of your own: npz, or of 4D-Humans, WHAM, GVHMR or TRAM.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Your own masks: a folder or a video.")] = None,
    depth: Annotated[
        Path | None, typer.Option(help="Your own depth: npz, or a folder of PNGs or EXRs.")
    ] = None,
    person: Annotated[int | None, typer.Option(help="Whom to follow, by the number in tracks.json.")] = None,
    height: Annotated[float | None, typer.Option(help="The person's height in metres.")] = None,
    body: Annotated[
        Path | None,
        typer.Option(
            help="SMPL's own body: your file, or neutral, male or female once `weights add` has it."
        ),
    ] = None,
    focal: Annotated[
        float | None, typer.Option(help="The camera's focal length in pixels of the video.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="The last stage to do.")] = None,
    redo: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Do this stage, and what follows from it, anew.")
    ] = None,
    fetch_weights: Annotated[
        bool, typer.Option("--fetch-weights", help="First download the weights of the real models.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Make the avatar and the motion from a video, doing only what is missing or out of date."""
    with _failures_told(debug, resumable=True), stoppable():
        options = {
            "device": device, "poses": poses, "masks": masks, "depth": depth,
            "person": person, "height": height, "body": body, "focal": focal,
        }  # fmt: skip
        video = absolute(video)
        place = Workspace(workspace or default_folder(video))
        configuration = config.load(video, preset, config_file, assignments or (), options)
        if fetch_weights:
            names = check_call(video, until, redo or ())  # before gigabytes come for a mistyped call
            weights.fetch(weights.wanted(configuration, names), _show)
        with console.reporter(Console(stderr=True)) as reporter:
            run_clip(video, place, configuration, reporter, until, redo or (), debug)
        last = until or stages.STAGES[-1].name
        say(console.outputs(place.stage_folder(last), place.manifest(last)))


@app.command()
def batch(
    folder: Annotated[Path, typer.Argument(help="With the clips.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where workspaces and overview go.", show_default="beside the clips"
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="In the folders below, too.")] = False,
    pattern: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Which files are clips; repeatable.", show_default="usual videos"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes here.", show_default="as suits the machine")
    ] = None,
    retry: Annotated[int, typer.Option(min=0, help="How often a clip that failed is tried again.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(metavar="URL", help="A luigid that other machines share; docs/cluster.md.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only the I-th of N parts of the folder.")
    ] = None,
    preset: Annotated[str, typer.Option(help="fast, default or quality.")] = "default",
    config_file: Annotated[
        Path | None, typer.Option("--config", help="YAML with keys of configs/default.yaml.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One key; repeatable.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    height: Annotated[float | None, typer.Option(help="Everybody's height in metres.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="SMPL's own body: a file, neutral, male or female.")
    ] = None,
    focal: Annotated[
        float | None, typer.Option(help="The camera's focal length in pixels of the videos.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="The last stage to do.")] = None,
    debug: Debug = False,
) -> None:
    """Do every clip of a folder, several at once; one that fails does not stop the others."""
    with _failures_told(debug, resumable=True), stoppable():
        call = Call(
            folder=absolute(folder),
            output=absolute(output) if output else None,
            recursive=recursive,
            patterns=tuple(pattern or ()),
            shard=Shard.parsed(shard) if shard else None,
            workers=workers,
            scheduler=scheduler,
            retries=retry,
            preset=preset,
            config_file=config_file,
            assignments=tuple(assignments or ()),
            options={"device": device, "height": height, "body": body, "focal": focal},
            until=until,
            debug=debug,
        )
        with display(Console(stderr=True)) as shown:
            result = run_batch(call, shown)
        say(summary(result.outcomes, result.before, result.seconds))
        page = write_overview(call.place, result.outcomes, call.shard)
        say(f"Everything at a glance: {console.shown(page)}")
    if any(outcome.result == "failed" for outcome in result.outcomes):
        say(f"Try the failed ones again with: {resume_call(sys.argv)}")
        raise typer.Exit(1)


@app.command()
def status(
    workspace: Annotated[Path, typer.Argument(metavar="WORKSPACE|FOLDER", show_default=False)],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what is done in a workspace, and what is out of date and why; or how a folder's clips stand."""
    with _failures_told(debug):
        place = absolute(workspace)
        if is_folder_of_clips(place):
            clips = describe_folder(place)
            say(_json(clips) if as_json else folder_as_text(clips))
            return
        facts = describe(Workspace(place))
        say(_json(facts) if as_json else as_text(facts))


@app.command()
def evaluate(
    workspace: Annotated[Path, typer.Argument(show_default=False)],
    truth: Annotated[Path, typer.Option(help="The true motion, gt.npz; docs/formats.md describes it.")],
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Where the figures go.", show_default="WORKSPACE/evaluate.json"
        ),
    ] = None,
    novel: Annotated[
        Path | None,
        typer.Option(
            help="Pictures of other cameras.", show_default="novel beside the truth, if it is there"
        ),
    ] = None,
    novel_pose: Annotated[
        Path | None,
        typer.Option(
            help="Pictures of other poses.", show_default="novel_pose beside the truth, if it is there"
        ),
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(help="SMPL's own body: a file, neutral, male or female.", show_default="the run's"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Compare a finished workspace's motion and avatar with the truth."""
    with _failures_told(debug):
        options = {"novel": novel, "novel_pose": novel_pose, "body": body_file(body) if body else None}
        facts = evaluate_workspace(
            Workspace(workspace),
            absolute(truth),
            absolute(json_file) if json_file else None,
            **{name: absolute(path) if path else None for name, path in options.items()},
        )
        console.show(as_tables(facts))


@app.command()
def export(
    workspace: Annotated[Path, typer.Argument(show_default=False)],
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            metavar="NAME",
            help="ply, splat, spz, gltf-splat, glb, bvh, amass, mp4, png or all; repeatable, or "
            "several with commas.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The folder to write into.", show_default="WORKSPACE/exported"),
    ] = None,
    frame: Annotated[
        int | None, typer.Option(metavar="N", help="The Gaussians in the pose of one frame, 0 the first.")
    ] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="The Gaussians in all frames, a file each.")
    ] = False,
    up: Annotated[Literal["y", "-y"], typer.Option(help="The axis that points up in ply and splat.")] = "y",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    body: Annotated[
        Path | None,
        typer.Option(help="SMPL's own body: a file, neutral, male or female.", show_default="the run's"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the avatar and the motion as files of other programs; docs/formats.md describes them."""
    with _failures_told(debug), stoppable(), console.steps("export", Console(stderr=True)) as told:
        written = export_workspace(
            Workspace(workspace),
            formats,
            absolute(output) if output else None,
            Selection(frame, frames, up),
            force,
            absolute(body_file(body)) if body else None,
            told,
        )
    say(console.table([(str(console.shown(path)), about) for path, about in written]))


@app.command()
def render(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="WORKSPACE|AVATAR", help="A finished workspace, or an avatar.npz.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="FILE.mp4, FILE.webm, or a folder for PNGs.", show_default=False)
    ],
    motion: Annotated[
        Path | None,
        typer.Option(help="motion.npz, AMASS npz or BVH.", show_default="the workspace's refined motion"),
    ] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(help="cameras.npz; docs/formats.md.", show_default="the motion's own camera"),
    ] = None,
    orbit: Annotated[bool, typer.Option("--orbit", help="The camera goes once around the scene.")] = False,
    turntable: Annotated[
        bool,
        typer.Option(
            "--turntable", help="The person in place, from all sides: in an A-pose, or in --motion."
        ),
    ] = False,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="COLOR",
            help="R,G,B, #RRGGBB or transparent.",
            show_default="transparent; white in an .mp4",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Of the pictures, pixels.")] = None,
    fps: Annotated[float | None, typer.Option(help="Pictures a second.", show_default="the motion's")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    debug: Debug = False,
) -> None:
    """Draw the avatar in any motion, from any cameras."""
    paths = {"motion": motion, "cameras": cameras}
    with _failures_told(debug), stoppable(), console.steps("render", Console(stderr=True)) as progress:
        lines = rendering.render(
            absolute(source),
            absolute(output),
            **{name: absolute(path) if path else None for name, path in paths.items()},
            orbit=orbit,
            turntable=turntable,
            background=background,
            size=size,
            fps=fps,
            device=device,
            force=force,
            progress=progress,
        )
    for line in lines:
        say(line)


@app.command()
def view(
    source: Annotated[
        Path,
        typer.Argument(metavar="WORKSPACE|AVATAR", help="Its folder, or an avatar.npz.", show_default=False),
    ],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to listen.", show_default=f"{PORT}, or the next free one"),
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets the whole network look.")] = HOST,
    debug: Debug = False,
) -> None:
    """Show a finished workspace, frame by frame, or an avatar in the browser."""
    with _failures_told(debug):
        show(source, host, port, say)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has and lacks, and the command that mends it."""
    with _failures_told(debug=False):
        checks = examine(absolute(Path()))
        say(_json([asdict(check) for check in checks]) if as_json else console.table(rows(checks)))
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)


@weights_app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """Show every file that can be downloaded, its licence, and what is here."""
    with _failures_told(debug=False):
        say(_json(weights.facts()) if as_json else console.table(weights.rows()))


@weights_app.command("fetch")
def fetch_weights(
    names: Annotated[list[str], typer.Argument(help="As `weights list` has them.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Download anew what is here.")] = False,
    debug: Debug = False,
) -> None:
    """Download weights; what was interrupted goes on."""
    with _failures_told(debug, resumable=True), stoppable():
        for path in weights.fetch(names, _show, force):
            say(str(path))


@weights_app.command("add")
def add_weights(
    file: Annotated[Path, typer.Argument(help="The file, archive or folder.", show_default=False)],
    key: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="What it is.", show_default="found out")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace other content of the same name.")] = False,
    debug: Debug = False,
) -> None:
    """Take a file that you have, such as SMPL's, which needs a licence."""
    with _failures_told(debug), stoppable():
        row = weights.add(absolute(file), key, _show, force)
        say(f"{row.key}: {row.model}, for {row.purpose}")


def _show(name: str) -> AbstractContextManager[Progress]:
    return transfer(Console(stderr=True), name)


def _json(facts: Any) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False)


@contextmanager
def _failures_told(debug: bool, resumable: bool = False) -> Iterator[None]:
    """Ends the program with one clear message and the right exit status, whatever went wrong.

    Args:
        debug: show the traceback, too.
        resumable: the same call again goes on from where this one ended.
    """
    try:
        yield
    except HsplatError as error:
        if debug:
            traceback.print_exc()
        again = _go_on() if resumable and error.exit_status == 1 else ""
        say(f"Error: {error}{again}", Console(stderr=True))
        raise typer.Exit(error.exit_status) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        say(f"Error: {type(error).__name__}: {error}\n--debug shows where.", Console(stderr=True))
        raise typer.Exit(1) from None
    except KeyboardInterrupt as error:
        say(f"Stopped; what is finished stays.{_go_on()}" if resumable else "Stopped.", Console(stderr=True))
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        raise typer.Exit(128 + number) from None


def _go_on() -> str:
    return f"\nGo on with: {resume_call(sys.argv)}"


def resume_call(call: list[str]) -> str:
    """What to type to go on from here: the same call, without starting anything anew a second time."""
    kept = [
        argument
        for before, argument in pairwise(call)
        if before != "--redo" and not argument.startswith("--redo")
    ]
    return shlex.join([*_program(Path(call[0])), *kept])


def _program(script: Path) -> list[str]:
    """This program as it can be typed in the current folder, which an environment's `bin` on PATH decides."""
    name = str(app.info.name)
    if shutil.which(name):
        return [name]
    if not os.access(script, os.X_OK):  # `python -m pipeline`
        return [sys.executable, "-m", "pipeline"]
    if shutil.which("uv") and script.absolute().is_relative_to(Path.cwd()):
        return ["uv", "run", name]
    return [os.path.relpath(script)]
