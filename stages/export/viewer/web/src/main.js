/** The page's program: reads the clip, draws it, and listens to buttons, keys and hands. */

import { readClip } from "./data.js";
import { connect } from "./interface.js";
import { Viewer } from "./viewer.js";

const message = document.getElementById("message");

function tell(words) {
  message.textContent = words;
  message.hidden = false;
}

function begin() {
  const clip = readClip(document);
  if (!clip.gaussians.count) return tell("This avatar holds no Gaussians: there is nothing to show.");
  const canvas = document.getElementById("canvas");
  const context = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true });
  if (!context) return tell("This page needs WebGL 2, which this browser does not offer. A newer one does.");
  const viewer = new Viewer(clip, canvas, context);
  connect(viewer, document);
  message.hidden = true;
  globalThis.viewer = viewer; // for the console, and for tests
}

try {
  begin();
} catch (error) {
  tell(`The viewer could not start: ${error.message}`);
  throw error;
}
