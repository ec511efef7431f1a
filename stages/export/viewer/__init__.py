"""viewer.html: the avatar in motion, to be looked at from all sides, as one file that opens from disk.

Python puts a clip's numbers and pictures into a page (`page`, `packing`, `pictures`); the program in it is
JavaScript, built from `web/` into `viewer.min.js` (docs/viewer.md).
"""

from stages.export.viewer.page import write_viewer

__all__ = ["write_viewer"]
