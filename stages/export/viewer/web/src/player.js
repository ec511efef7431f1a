/** The clock: which frame is shown, and what comes next. */

export class Player {
  constructor(frames, fps) {
    this.frames = frames;
    this.fps = fps;
    this.speed = 1;
    this.playing = false;
    this.time = 0; // in frames
  }

  /** The frame shown. */
  get frame() {
    return Math.min(Math.floor(this.time + 1e-6), this.frames - 1);
  }

  /** Goes on by a stretch of real time, from the end back to the beginning. */
  advance(seconds) {
    if (this.playing) this.time = (this.time + seconds * this.fps * this.speed) % this.frames;
  }

  play(wanted = !this.playing) {
    this.playing = wanted && this.frames > 1;
  }

  /** Stops at a frame. */
  seek(frame) {
    this.playing = false;
    this.time = Math.min(Math.max(Math.round(frame), 0), this.frames - 1);
  }
}

/** Mixes the transforms of a frame and the next one into `out`. A share of 0 gives the frame's own. */
export function transformsAt(motion, frame, share, out) {
  const first = frame * out.length;
  const next = Math.min(first + out.length, motion.length - out.length);
  for (let i = 0; i < out.length; i++) out[i] = motion[first + i] + share * (motion[next + i] - motion[first + i]);
}
