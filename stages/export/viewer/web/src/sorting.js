/** The order in which Gaussians are drawn: by the depth of their posed centres, the farthest first. */

import { JOINTS, ROWS } from "./skinning.js";

const INFLUENCES = 4;
const WORDS = 8; // of 32 bits, a Gaussian
const BUCKETS = 65536;

export class Sorter {
  /** words: the packed Gaussians (stages/export/viewer/packing.py); box: low and high corner of their centres. */
  constructor(words, count, [low, high]) {
    const halves = new Uint16Array(words.buffer, words.byteOffset, 2 * words.length);
    const octets = new Uint8Array(words.buffer, words.byteOffset, 4 * words.length);
    this.count = count;
    this.centers = new Float32Array(3 * count);
    this.joints = new Uint8Array(INFLUENCES * count);
    this.shares = new Float32Array(INFLUENCES * count);
    for (let i = 0; i < count; i++) {
      for (let axis = 0; axis < 3; axis++) {
        const share = halves[2 * WORDS * i + axis] / 65535;
        this.centers[3 * i + axis] = low[axis] + share * (high[axis] - low[axis]);
      }
      for (let k = 0; k < INFLUENCES; k++) {
        this.joints[INFLUENCES * i + k] = octets[4 * WORDS * i + 24 + k];
        this.shares[INFLUENCES * i + k] = octets[4 * WORDS * i + 28 + k] / 255;
      }
    }
    this.depths = new Float32Array(count);
    this.keys = new Uint16Array(count);
    this.ends = new Uint32Array(BUCKETS + 1);
    this.byJoint = new Float32Array(4 * JOINTS);
  }

  /**
   * Writes the order of drawing into `order` (Uint32Array).
   * transforms: the joints', 3 x 4 each, row by row; direction: [x, y, z], where the camera looks.
   */
  sort(transforms, direction, order) {
    this.#measure(transforms, direction);
    this.#count(order);
  }

  /** Depths along the direction. Skinning is linear, so each joint's share of a depth is one product with it. */
  #measure(transforms, [x, y, z]) {
    const { centers, joints, shares, depths, byJoint } = this;
    for (let joint = 0; joint < JOINTS; joint++) {
      for (let column = 0; column < 4; column++) {
        const first = 4 * ROWS * joint + column;
        byJoint[4 * joint + column] = x * transforms[first] + y * transforms[first + 4] + z * transforms[first + 8];
      }
    }
    for (let i = 0; i < this.count; i++) {
      const cx = centers[3 * i], cy = centers[3 * i + 1], cz = centers[3 * i + 2];
      let depth = 0;
      for (let k = INFLUENCES * i; k < INFLUENCES * (i + 1); k++) {
        const share = shares[k];
        if (share === 0) break; // the strongest come first
        const row = 4 * joints[k];
        depth += share * (byJoint[row] * cx + byJoint[row + 1] * cy + byJoint[row + 2] * cz + byJoint[row + 3]);
      }
      depths[i] = depth;
    }
  }

  /** Counting sort, the largest depth first. 65536 steps over a person are hundredths of a millimetre. */
  #count(order) {
    const { count, depths, keys, ends } = this;
    let near = Infinity, far = -Infinity;
    for (let i = 0; i < count; i++) {
      if (depths[i] < near) near = depths[i];
      if (depths[i] > far) far = depths[i];
    }
    const scale = (BUCKETS - 1) / Math.max(far - near, 1e-9);
    ends.fill(0);
    for (let i = 0; i < count; i++) {
      keys[i] = (far - depths[i]) * scale; // rounded down
      ends[keys[i] + 1]++;
    }
    for (let key = 0; key < BUCKETS; key++) ends[key + 1] += ends[key];
    for (let i = 0; i < count; i++) order[ends[keys[i]]++] = i;
  }
}
