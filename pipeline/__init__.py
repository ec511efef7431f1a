"""Orchestration: the only layer that knows Luigi, typer and rich.

Libraries that stages load read these variables when they are imported, so they are set here, first of all.
"""

import os

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning OpenMP threads collapse on a busy machine
    "GLOG_minloglevel": "2",  # mediapipe's chatter on the console
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
