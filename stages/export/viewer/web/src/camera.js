/** Cameras given by their intrinsics. World space is the clip's camera's: x right, y down, z forward, metres. */

import { PerspectiveCamera, Vector3 } from "three";

const NEAR = 0.01, FAR = 200;

/** Intrinsics of a canvas, in its pixels, that show a window [left, top, width, height] of a picture as large as fits. */
export function fitted([fx, fy, cx, cy], [left, top, columns, rows], width, height) {
  const scale = Math.min(width / columns, height / rows);
  return {
    fx: fx * scale,
    fy: fy * scale,
    cx: (cx - left) * scale + (width - columns * scale) / 2,
    cy: (cy - top) * scale + (height - rows * scale) / 2,
    width,
    height,
  };
}

export class PinholeCamera extends PerspectiveCamera {
  intrinsics = { fx: 1, fy: 1, cx: 0.5, cy: 0.5, width: 1, height: 1 };

  /** The unit vector along which the camera looks. */
  direction() {
    return this.getWorldDirection(new Vector3()).toArray();
  }

  updateProjectionMatrix() {
    const { fx, fy, cx, cy, width, height } = this.intrinsics ?? {}; // the base class calls this before we are set up
    if (!width) return;
    this.fov = (360 / Math.PI) * Math.atan(height / 2 / fy); // for controls that ask
    this.projectionMatrix.set(
      (2 * fx) / width, 0, 1 - (2 * cx) / width, 0,
      0, (2 * fy) / height, (2 * cy) / height - 1, 0,
      0, 0, -(FAR + NEAR) / (FAR - NEAR), (-2 * FAR * NEAR) / (FAR - NEAR),
      0, 0, -1, 0,
    );
    this.projectionMatrixInverse.copy(this.projectionMatrix).invert();
  }
}
