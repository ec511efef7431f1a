/** The clip on a canvas: what is shown, from where, and when it has to be drawn anew. */

import {
  BufferGeometry, Float32BufferAttribute, LineBasicMaterial, LineSegments, LinearSRGBColorSpace, Matrix4, Scene, Vector3, WebGLRenderer,
} from "three";
import { Backdrop } from "./backdrop.js";
import { Body } from "./body.js";
import { Player, transformsAt } from "./player.js";
import { Resolution } from "./resolution.js";
import { JOINTS, ROWS } from "./skinning.js";
import { Splats } from "./splats.js";
import { View } from "./view.js";

const BEHIND = 1; // metres from the farthest pelvis to the screen with the clip's pictures
const TILE = 0.5, TILES = 12; // of the floor, metres and how many across

export class Viewer {
  #wanted = false;
  #before = null;
  #listeners = [];

  /** clip: as `readClip` gives it; context: the canvas' WebGL 2. */
  constructor(clip, canvas, context) {
    this.clip = clip;
    this.canvas = canvas;
    this.player = new Player(clip.frames, clip.fps);
    this.resolution = new Resolution();
    this.shown = { motion: "refined", video: false, body: false, floor: true };
    this.joints = new Float32Array(4 * ROWS * JOINTS);
    this.renderer = new WebGLRenderer({ canvas, context });
    this.renderer.outputColorSpace = LinearSRGBColorSpace; // colours are the video's, as they are
    this.renderer.setClearColor(0, 0);
    this.view = new View(canvas, clip.up, () => this.request());
    this.splats = new Splats(clip.gaussians, this.joints);
    this.body = new Body(clip.body, this.joints);
    this.backdrop = new Backdrop(clip.pictures, clip.width, clip.height, () => this.request());
    this.floor = floor(clip, this.#pelvisAt("refined", 0));
    this.scene = new Scene();
    [this.backdrop.object, this.floor, this.splats.object, this.body.object].forEach((object, order) => {
      object.renderOrder = order;
      this.scene.add(object);
    });
    this.screen = BEHIND + Math.max(...clip.valid.map((_, frame) => this.#pelvisAt("refined", frame)[2]));
    new ResizeObserver(() => this.request()).observe(canvas);
    canvas.addEventListener("webglcontextrestored", () => this.request());
    this.draw();
    this.openedAfter = performance.now(); // milliseconds since the page was asked for
  }

  /** Changes what is shown: { motion: "refined" | "initial", video, body, floor: on or off }. */
  show(changes) {
    Object.assign(this.shown, changes);
    if (!this.clip.pictures.length) this.shown.video = false;
    this.request();
  }

  /** Goes to a frame and stops there. */
  seek(frame) {
    this.player.seek(frame);
    this.request();
  }

  play(wanted) {
    this.player.play(wanted);
    this.request();
  }

  /** Whether the person was found in the frame shown; where not, the pose lies between its neighbours'. */
  get seen() {
    return this.clip.valid[this.player.frame];
  }

  /** Calls a function after each drawing. */
  onDraw(listener) {
    this.#listeners.push(listener);
    listener();
  }

  /** Asks for a drawing with the screen's next picture. */
  request() {
    if (this.#wanted) return;
    this.#wanted = true;
    requestAnimationFrame((now) => this.#tick(now));
  }

  /** Draws at once. `moving` allows fewer pixels. Says whether the camera still moves by itself. */
  draw(seconds = 0, moving = false) {
    const { motion, video, body, floor } = this.shown;
    const { frame, time, playing } = this.player;
    // Beside its picture a frame is shown as it is; without, what lies between two frames is.
    transformsAt(this.clip.motions[motion], frame, playing && !video ? time - frame : 0, this.joints);
    const settling = this.view.update(seconds, transformed(this.joints, this.clip.pelvis));
    this.#resize(moving);
    this.floor.visible = floor && !video;
    this.body.object.visible = body;
    this.backdrop.object.visible = video;
    if (video) this.backdrop.show(frame, this.clip.cameras[motion], this.screen);
    this.splats.prepare(this.view.camera);
    this.renderer.render(this.scene, this.view.camera);
    return settling;
  }

  /** The picture as it is now, without anything moving on, as the address of a PNG with transparency. */
  picture() {
    this.draw();
    return this.canvas.toDataURL();
  }

  /** The camera in our files' terms: K (3 x 3, pixels of the canvas), T_cam_world (4 x 4, world the clip's camera). */
  camera() {
    const { fx, fy, cx, cy, width, height } = this.view.camera.intrinsics;
    const [xx, yx, zx, , xy, yy, zy, , xz, yz, zz, , x, y, z] = this.view.camera.matrixWorldInverse.elements;
    return {
      K: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
      T_cam_world: [[xx, xy, xz, x], [-yx, -yy, -yz, -y], [-zx, -zy, -zz, -z], [0, 0, 0, 1]],
      width,
      height,
    };
  }

  #tick(now) {
    this.#wanted = false;
    const seconds = this.#before === null ? 0 : (now - this.#before) / 1000;
    const going = this.#before !== null; // one of several pictures in a row
    if (going) this.resolution.note(seconds);
    this.player.advance(Math.min(seconds, 0.5));
    const again = this.draw(seconds, going) || this.player.playing;
    this.#listeners.forEach((listener) => listener());
    if (going && !again) this.resolution.rest();
    this.#before = again ? now : null;
    // What was drawn coarsely while it moved is drawn once more at rest.
    if (again || going) this.request();
  }

  #resize(moving) {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !clientHeight) return;
    const [width, height] = this.resolution.size(clientWidth, clientHeight, devicePixelRatio, moving);
    if (this.canvas.width !== width || this.canvas.height !== height) this.renderer.setSize(width, height, false);
    this.view.fit(this.clip.cameras[this.shown.motion], this.clip.window, width, height);
  }

  #pelvisAt(motion, frame) {
    const start = frame * this.joints.length;
    return transformed(this.clip.motions[motion].subarray(start, start + this.joints.length), this.clip.pelvis);
  }
}

/** A point of the rest pose, moved by the first of some joints' transforms. */
function transformed(joints, [x, y, z]) {
  return [0, 4, 8].map((row) => joints[row] * x + joints[row + 1] * y + joints[row + 2] * z + joints[row + 3]);
}

/** A grid on the ground below where the person begins, its lines along and across the clip's camera. */
function floor({ up, ground }, pelvis) {
  const points = [], reach = (TILE * TILES) / 2;
  for (let line = 0; line <= TILES; line++) {
    // Short pieces: what lies partly behind the camera is not drawn everywhere.
    for (let tile = 0; tile < TILES; tile++) {
      const [from, to, at] = [tile, tile + 1, line].map((count) => count * TILE - reach);
      points.push(from, 0, at, to, 0, at, at, 0, from, at, 0, to);
    }
  }
  const geometry = new BufferGeometry().setAttribute("position", new Float32BufferAttribute(points, 3));
  const material = new LineBasicMaterial({ color: 0x808890, transparent: true, opacity: 0.45, depthWrite: false });
  const grid = new LineSegments(geometry, material);
  const upwards = new Vector3(...up).normalize();
  const right = new Vector3().crossVectors(upwards, new Vector3(0, 0, -1)).normalize();
  grid.quaternion.setFromRotationMatrix(new Matrix4().makeBasis(right, upwards, right.clone().cross(upwards)));
  grid.position.set(...pelvis);
  grid.position.addScaledVector(upwards, ground - grid.position.dot(upwards));
  return grid;
}
