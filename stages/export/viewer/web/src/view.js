/** Where one looks from: the clip's camera, or any place around the person. */

import { Matrix4, Quaternion, Vector3 } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { PinholeCamera, fitted } from "./camera.js";

const CLIP_CAMERA = new Quaternion(1, 0, 0, 0); // three.js's cameras look along -z with y up
const SETTLING = 0.35; // seconds until a camera that was let go has the person in its middle
const BACK = 1.2; // of the clip's distance, for there the person's middle need not be the picture's
const NO_TURN = new Quaternion();

export class View {
  /** up: [x, y, z]; changed: called when a hand has moved the camera. */
  constructor(canvas, up, changed) {
    this.up = new Vector3(...up).normalize();
    this.camera = new PinholeCamera();
    this.camera.up.copy(this.up);
    this.pelvis = new Vector3(0, 0, 1);
    this.aimed = this.pelvis.clone(); // the pelvis when the target was last moved along with it
    this.aside = new Quaternion(); // what is left of the turn between where one looked and the target
    this.centred = 0; // from 0, the clip's principal point, to 1, the canvas' middle
    this.free = false;
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.15;
    this.controls.minDistance = 0.2;
    this.controls.maxDistance = 40;
    this.controls.addEventListener("start", () => this.free && this.#follow());
    this.controls.addEventListener("change", () => {
      if (!this.free) this.#release();
      changed();
    });
    this.toClip();
  }

  /** Back to the clip's camera. */
  toClip() {
    this.free = false;
    this.centred = 0;
    this.camera.position.set(0, 0, 0);
    this.camera.quaternion.copy(CLIP_CAMERA);
    this.aside.identity();
  }

  /** To the clip's camera moved about the person by an angle in radians: 0 the front of one who faces it, then their left. */
  toSide(angle) {
    this.free = true;
    this.centred = 1;
    this.aside.identity();
    this.controls.target.copy(this.pelvis);
    this.aimed.copy(this.pelvis);
    const away = new Vector3().sub(this.pelvis).applyAxisAngle(this.up, angle);
    this.camera.position.copy(this.pelvis).addScaledVector(away, BACK);
    this.controls.update();
  }

  /** Turns about the person, radians. */
  turn(left, up) {
    this.#take();
    this.controls.rotateLeft(left);
    this.controls.rotateUp(up);
  }

  /** Nearer by a factor above 1, farther by one below. */
  zoom(factor) {
    this.#take();
    this.controls.dollyIn(1 / factor);
  }

  /** Fits the picture to the canvas: intrinsics and window as of `fitted`. To be called after `update`. */
  fit(intrinsics, window, width, height) {
    const found = fitted(intrinsics, window, width, height);
    found.cx += this.centred * (width / 2 - found.cx);
    found.cy += this.centred * (height / 2 - found.cy);
    this.camera.intrinsics = found;
    this.camera.updateProjectionMatrix();
  }

  /** To be called before each drawing. Says whether the camera is still moving by itself. */
  update(seconds, pelvis) {
    this.pelvis.set(...pelvis);
    let moving = false;
    if (this.free) {
      moving = this.controls.update();
      const share = Math.min(1, seconds / SETTLING);
      this.aside.slerp(NO_TURN, share);
      this.centred += share * (1 - this.centred);
      if (this.aside.angleTo(NO_TURN) < 1e-3 && this.centred > 0.999) {
        this.aside.identity();
        this.centred = 1;
      } else moving = true;
      this.camera.quaternion.multiply(this.aside);
    } else {
      this.controls.target.copy(this.pelvis);
      this.aimed.copy(this.pelvis);
    }
    this.camera.updateMatrixWorld();
    return moving;
  }

  #take() {
    if (this.free) this.#follow();
    else this.#release();
  }

  /** From the clip's camera to a free one, which looks at the person. */
  #release() {
    this.free = true;
    this.#turnFrom(CLIP_CAMERA, new Vector3());
  }

  /** Moves the target along with the person, who may have walked on since. */
  #follow() {
    const before = this.camera.quaternion.clone();
    this.controls.target.add(this.pelvis).sub(this.aimed);
    this.aimed.copy(this.pelvis);
    this.#turnFrom(before, this.camera.position);
  }

  #turnFrom(quaternion, position) {
    const towards = new Matrix4().lookAt(position, this.controls.target, this.up);
    this.aside.setFromRotationMatrix(towards).invert().multiply(quaternion);
  }
}
