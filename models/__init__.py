"""Tensors and arrays; nothing of workspaces and configuration files."""

import os

# OpenCV reads it once, when it is first imported; its own limit is 16 times as many.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(8192 * 8192))
