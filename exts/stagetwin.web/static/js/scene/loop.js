/** Frames on demand: nothing is drawn while nothing changes. */
export class Loop {
  #draw;
  #frame = 0;
  #dirty = false;
  #stopped = false;
  #waiting = [];

  /** @param {(now: number) => boolean} draw returns whether another frame is due */
  constructor(draw) {
    this.#draw = draw;
  }

  /** Have a frame drawn; many calls are one. */
  invalidate() {
    this.#dirty = true;
    if (this.#frame === 0 && !this.#stopped) {
      this.#frame = requestAnimationFrame((now) => this.#run(now));
    }
  }

  #run(now) {
    this.#frame = 0;
    this.#dirty = false;
    let more = false;
    try {
      more = this.#draw(now);
    } catch (error) {
      // One frame that fails must not end the picture.
      console.error("a frame failed", error);
    }
    if (more || this.#dirty) this.invalidate();
    else this.#settle();
  }

  #settle() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** @returns {Promise<void>} resolves when nothing is left to draw */
  idle() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.invalidate();
    });
  }

  stop() {
    this.#stopped = true;
    cancelAnimationFrame(this.#frame);
    this.#settle();
  }
}
