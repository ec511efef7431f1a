/** The clip's pictures, on a screen that stands behind the person where the clip's camera sees it. */

import { BufferAttribute, BufferGeometry, LinearFilter, Mesh, MeshBasicMaterial, Texture } from "three";
import { bytes } from "./data.js";

const KEPT = 24; // decoded pictures
const AHEAD = 8;

export class Backdrop {
  /** pictures: base64 JPEGs; width, height: of the working picture; changed: called when one has been decoded. */
  constructor(pictures, width, height, changed) {
    this.pictures = pictures;
    this.size = [width, height];
    this.changed = changed;
    this.decoded = new Map(); // the most recently wanted last
    this.pending = new Set();
    this.texture = new Texture();
    this.texture.minFilter = LinearFilter;
    this.texture.generateMipmaps = false;
    this.geometry = new BufferGeometry();
    this.geometry.setAttribute("position", new BufferAttribute(new Float32Array(12), 3));
    this.geometry.setAttribute("uv", new BufferAttribute(new Float32Array([0, 0, 1, 0, 1, 1, 0, 1]), 2));
    this.geometry.setIndex([0, 2, 1, 0, 3, 2]); // seen from the camera's side only
    const material = new MeshBasicMaterial({ map: this.texture, transparent: true, depthTest: false, depthWrite: false });
    this.object = new Mesh(this.geometry, material);
    this.object.frustumCulled = false;
    this.object.visible = false;
    this.shown = null;
  }

  /**
   * Shows the picture of a frame as soon as it is decoded; until then the one before.
   * The screen stands so far away, where a camera [fx, fy, cx, cy] at the origin sees the whole picture.
   */
  show(frame, camera, distance) {
    this.#place(camera, distance);
    for (let i = 0; i <= AHEAD; i++) this.#want((frame + i) % this.pictures.length);
    const picture = this.decoded.get(frame);
    if (picture && this.shown !== frame) {
      this.texture.image = picture;
      this.texture.needsUpdate = true;
      this.shown = frame;
    }
    this.object.visible = this.shown !== null;
  }

  #place([fx, fy, cx, cy], distance) {
    const [width, height] = this.size;
    const corners = [[0, 0], [width, 0], [width, height], [0, height]];
    const position = this.geometry.getAttribute("position");
    corners.forEach(([x, y], i) => {
      position.setXYZ(i, ((x - cx) / fx) * distance, ((y - cy) / fy) * distance, distance);
    });
    position.needsUpdate = true;
  }

  #want(frame) {
    const known = this.decoded.get(frame);
    if (known) {
      this.decoded.delete(frame);
      this.decoded.set(frame, known);
    } else if (!this.pending.has(frame)) {
      this.pending.add(frame);
      createImageBitmap(new Blob([bytes(this.pictures[frame])], { type: "image/jpeg" }), { colorSpaceConversion: "none" }).then(
        (picture) => this.#keep(frame, picture),
      );
    }
  }

  #keep(frame, picture) {
    this.pending.delete(frame);
    this.decoded.set(frame, picture);
    for (const [oldest, old] of this.decoded) {
      if (this.decoded.size <= KEPT) break;
      if (oldest === this.shown) continue;
      this.decoded.delete(oldest);
      old.close();
    }
    this.changed();
  }
}
