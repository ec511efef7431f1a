"""One clip from beginning to end: the workspace claimed, what is out of date found, and done."""

import logging
import stat
from collections.abc import Sequence
from pathlib import Path

import stages
from models.errors import HsplatError, InputError, StageError
from pipeline.chain import Reporter, downstream, plan, state
from pipeline.config import closest
from pipeline.logs import facts, log_circumstances, logging_to
from pipeline.stopping import Terminated
from pipeline.workspace import Workspace
from stages.base import Settings

log = logging.getLogger(__name__)


def run_clip(
    video: Path,
    workspace: Workspace,
    configuration: Settings,
    reporter: Reporter,
    until: str | None = None,
    redo: Sequence[str] = (),
    debug: bool = False,
) -> None:
    """Brings a workspace up to date with a configuration, doing only what is missing or out of date.

    Args:
        video: the clip, `configuration.frames.video`.
        workspace: where; made if it does not exist.
        configuration: as `config.load` gives it.
        reporter: told of the stages as they go.
        until: the last stage to do, in the table's order; all of them by default.
        redo: stages to do anew although they are up to date, with everything downstream.
        debug: a more talkative log.

    Raises:
        InputError: the call, the video or the workspace is unusable.
        HsplatError: a stage failed; what it failed on is in the log with its traceback.
        KeyboardInterrupt: SIGINT or, as Terminated, SIGTERM came; finished stages and checkpoints stay.
    """
    names = check_call(video, until, redo)
    anew = {later for name in redo for later in downstream(name)}
    with workspace.open_for(video), logging_to(workspace.log_path(), debug):
        log_circumstances(log, configuration)
        try:
            steps = plan(configuration, workspace.hashes)
            workspace.save_record(video, configuration.model_dump(mode="json"))
            for name in anew:
                workspace.invalidate(name)
            states = [state(workspace, step, verify=True) for step in steps if step.stage.name in names]
            for each in states:
                found = {"stage": each.step.stage.name, "state": each.name, "reason": each.reason}
                log.info("%(stage)s: %(state)s", found, extra=facts(event="found", **found))
                if each.done:
                    workspace.tidy(each.step.stage.name)
                if each.name == "damaged":
                    workspace.forget(each.step.stage.name)  # for who looks at size and time only
            reporter.planned(states)
            if not all(each.done for each in states):
                from pipeline.tasks import run_chain  # Luigi takes its time to load; often there is no work

                run_chain(workspace, configuration, names, reporter)
        except HsplatError:
            log.exception("failed")
            raise
        except KeyboardInterrupt as error:
            log.warning("stopped by %s", "SIGTERM" if isinstance(error, Terminated) else "SIGINT")
            raise
        except Exception as error:
            log.exception("failed")
            raise unforeseen(error, workspace) from error


def check_call(video: Path, until: str | None = None, redo: Sequence[str] = ()) -> list[str]:
    """The stages that a call asks for; see `run_clip`.

    Raises:
        InputError: there is no such video or stage.
    """
    for name in redo:
        _known(name)
    check_video(video)
    return names_until(until)


def check_video(video: Path) -> None:
    """Raises InputError where a path is no file that could be a video."""
    try:
        mode = video.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{video} is a folder, not a video.", "Give one video file.")
        if not stat.S_ISREG(mode):  # a device or a pipe; reading it might never end
            raise InputError(f"{video} is not a regular file.", "Give one video file.")
        with video.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise InputError(f"The video {video} cannot be read: {error.strerror}.", "Check the path.") from error
    if empty:
        raise InputError(f"The video {video} is empty.", "Copy or record it again.")


def _known(name: str) -> str:
    names = [stage.name for stage in stages.STAGES]
    if name not in names:
        raise InputError(f"There is no stage {name!r}{closest(name, names)}", f"Stages: {', '.join(names)}.")
    return name


def names_until(name: str | None) -> list[str]:
    """The stages up to a named one, all by default; InputError where there is none of that name."""
    names = [stage.name for stage in stages.STAGES]
    return names if name is None else names[: names.index(_known(name)) + 1]


def unforeseen(error: Exception, workspace: Workspace) -> StageError:
    """What a user is told of an error that nobody foresaw."""
    if isinstance(error, MemoryError):
        return StageError("The memory is exhausted.", "Close other programs, or run with --preset fast.")
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which this module does not load
        return StageError(
            "The GPU's memory is exhausted.", "Close what else runs on it, or use --device cpu."
        )
    if isinstance(error, OSError) and (refusal := workspace.refusal(error)):
        return StageError(*refusal)
    text = str(error).strip().split("\n")[0]
    return StageError(
        f"An unforeseen error: {type(error).__name__}{': ' if text else ''}{text}",
        f"Please report it with the newest file of {workspace.logs}",
    )
