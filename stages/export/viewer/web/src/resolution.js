/** How many pixels are drawn: all when at rest; fewer, where the machine is slow, while something moves. */

const MOST_PIXELS = 2.5e6;
const LONGEST = 1 / 30; // seconds a picture
const PATIENCE = 6; // pictures
const STEP = 0.8;
const COARSEST = 0.35;

export class Resolution {
  #scale = 1;
  #late = 0;

  /** Told how long the latest of several pictures in a row took. */
  note(seconds) {
    this.#late = seconds > 1.1 * LONGEST ? this.#late + 1 : 0;
    if (this.#late < PATIENCE) return;
    this.#scale = Math.max(COARSEST, STEP * this.#scale);
    this.#late = 0;
  }

  /** Told that a movement has ended: the next one may be drawn a step finer. */
  rest() {
    this.#scale = Math.min(1, this.#scale / STEP);
    this.#late = 0;
  }

  /** Pixels of the canvas [across, down] for its size on the page. */
  size(width, height, devicePixels, moving) {
    const dense = Math.min(devicePixels, 2, Math.sqrt(MOST_PIXELS / (width * height)));
    const ratio = dense * (moving ? this.#scale : 1);
    return [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  }
}
