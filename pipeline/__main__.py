"""The console script; `python -m pipeline` is the same."""

import signal


def main() -> None:
    """Runs the command line. Ctrl-C while it is still loading just ends it, without a traceback."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pipeline.cli import app

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app(prog_name="hsplat-pipeline")


if __name__ == "__main__":
    main()
