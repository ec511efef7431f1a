"""The two ways in which work can end badly, as the user sees them."""


class HsplatError(Exception):
    """A failure with a message for the user: what is wrong with which file, why, and the next step.

    The command line prints the message without a traceback and exits with `exit_status`.
    """

    exit_status = 1

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(f"{problem}\n{next_step}" if next_step else problem)
        self.problem = problem
        self.next_step = next_step


class InputError(HsplatError):
    """The call, the video or another file of the user's cannot be used."""

    exit_status = 2


class StageError(HsplatError):
    """A stage could not finish its work: disk full, memory exhausted, nothing to work with."""
