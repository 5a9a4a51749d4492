const TURN = 0.0055; // rad a pixel
const KEY_TURN = 0.09; // rad a stroke
const CLICK_SLACK = 5; // px
const LONG_PRESS = 550; // ms
const DOUBLE = 350; // ms
const WALKS = { w: [0, 0, 1], s: [0, 0, -1], a: [-1, 0, 0], d: [1, 0, 0], q: [0, -1, 0], e: [0, 1, 0] };
const LOOKS = { 1: "front", 3: "right", 7: "top" };

/**
 * Pointers, wheel, touch and keys over the canvas, turned into moves of the eye.
 *
 * What is a click and what a drag is decided here; what a click means is not.
 */
export class Navigation {
  #pointers = new Map();
  #held = new Set();
  #fast = false;
  #began = null;
  #pinch = null;
  #lastTap = { at: -Infinity, x: 0, y: 0 };
  #press = 0;
  #off = [];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./eye.js").Eye} eye
   * @param {object} told what happens: `changed()`, `clicked(x, y)`, `opened(x, y)`, `menu(x, y)`,
   *   `hovered(x, y)`, `grab(x, y) -> drag | null`, `pivot(x, y) -> point | null`, `key(event) -> bool`
   */
  constructor(canvas, eye, told) {
    this.canvas = canvas;
    this.eye = eye;
    this.told = told;
    this.mode = "orbit";
    canvas.tabIndex = canvas.tabIndex >= 0 ? canvas.tabIndex : 0;
    this.#hear("pointerdown", (e) => this.#down(e));
    this.#hear("pointermove", (e) => this.#move(e));
    this.#hear("pointerup", (e) => this.#up(e));
    this.#hear("pointercancel", (e) => this.#cancel(e));
    this.#hear("pointerleave", () => this.told.hovered(NaN, NaN));
    this.#hear("wheel", (e) => this.#wheel(e), { passive: false });
    this.#hear("contextmenu", (e) => e.preventDefault());
    this.#hear("keydown", (e) => this.#keydown(e));
    this.#hear("keyup", (e) => this.#keyup(e));
    this.#hear("blur", () => this.#held.clear());
  }

  #hear(name, listener, options) {
    this.canvas.addEventListener(name, listener, options);
    this.#off.push(() => this.canvas.removeEventListener(name, listener, options));
  }

  dispose() {
    for (const off of this.#off) off();
    clearTimeout(this.#press);
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  // -- pointers

  #down(event) {
    this.canvas.focus({ preventScroll: true });
    // A pointer of a test is no real one and cannot be captured.
    if (event.isTrusted) this.canvas.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 1) {
      const drag = event.button === 0 ? this.told.grab(at.x, at.y) : null;
      const button = event.button === 0 && event.shiftKey ? 2 : event.button;
      this.#began = { ...at, button, moved: false, drag, touch: event.pointerType === "touch" };
      if (drag === null) this.#anchor(at);
      clearTimeout(this.#press);
      if (this.#began.touch) this.#press = setTimeout(() => this.#longPress(), LONG_PRESS);
    } else {
      clearTimeout(this.#press);
      if (this.#began) this.#began.moved = true;
      this.#pinch = this.#spread();
    }
  }

  // The eye turns about what lies under the pointer's depth, so that close things turn calmly.
  #anchor({ x, y }) {
    if (this.mode !== "orbit") return;
    const point = this.told.pivot(x, y);
    if (point !== null) this.eye.aim(Math.max(this.eye.project(point).depth, this.eye.reach * 1e-3));
  }

  #longPress() {
    if (this.#began === null || this.#began.moved) return;
    this.#began.moved = true;
    this.told.menu(this.#began.x, this.#began.y);
  }

  #move(event) {
    const at = this.#at(event);
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType !== "touch") this.told.hovered(at.x, at.y);
      return;
    }
    this.#pointers.set(event.pointerId, at);
    const dx = at.x - before.x;
    const dy = at.y - before.y;
    if (this.#pointers.size > 1) {
      this.#pinchMove();
      return;
    }
    const began = this.#began;
    if (began === null) return;
    const far = Math.abs(at.x - began.x) + Math.abs(at.y - began.y) > CLICK_SLACK;
    if (!began.moved && !far) return;
    if (!began.moved) clearTimeout(this.#press);
    began.moved = true;
    if (began.drag !== null) began.drag.move(at.x, at.y);
    else this.#drag(began.button, dx, dy);
    this.told.changed();
  }

  #drag(button, dx, dy) {
    const height = this.canvas.clientHeight || 1;
    if (button !== 0) this.eye.pan(dx / height, dy / height);
    else if (this.mode === "fly") this.eye.turn(dx * TURN, -dy * TURN);
    else this.eye.orbit(dx * TURN, dy * TURN);
  }

  #spread() {
    const [a, b] = [...this.#pointers.values()];
    return {
      x: (a.x + b.x) / 2,
      y: (a.y + b.y) / 2,
      apart: Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1),
    };
  }

  #pinchMove() {
    if (this.#pointers.size !== 2 || this.#pinch === null) return;
    const now = this.#spread();
    const height = this.canvas.clientHeight || 1;
    this.eye.zoom(this.#pinch.apart / now.apart);
    this.eye.pan((now.x - this.#pinch.x) / height, (now.y - this.#pinch.y) / height);
    this.#pinch = now;
    this.told.changed();
  }

  #up(event) {
    clearTimeout(this.#press);
    this.#pointers.delete(event.pointerId);
    this.#pinch = this.#pointers.size === 2 ? this.#spread() : null;
    const began = this.#began;
    if (began === null || this.#pointers.size > 0) return;
    this.#began = null;
    if (began.drag !== null) began.drag.end();
    if (began.moved) return;
    const at = this.#at(event);
    if (event.button === 2) this.told.menu(at.x, at.y);
    else if (event.button === 0) this.#click(at);
  }

  #click({ x, y }) {
    const now = performance.now();
    const again =
      now - this.#lastTap.at < DOUBLE &&
      Math.abs(x - this.#lastTap.x) + Math.abs(y - this.#lastTap.y) < 4 * CLICK_SLACK;
    this.#lastTap = { at: again ? -Infinity : now, x, y };
    if (again) this.told.opened(x, y);
    else this.told.clicked(x, y);
  }

  #cancel(event) {
    clearTimeout(this.#press);
    this.#pointers.delete(event.pointerId);
    this.#began?.drag?.end();
    this.#began = null;
    this.#pinch = null;
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : event.deltaMode === 2 ? 300 : 1;
    const step = Math.max(-300, Math.min(300, event.deltaY * lines));
    const at = this.#at(event);
    if (this.mode === "fly") {
      this.eye.walk(0, 0, -step * 0.001 * this.#pace());
    } else {
      const point = this.told.pivot(at.x, at.y) ?? this.eye.target;
      this.eye.zoom(Math.exp(step * 0.0014), point);
    }
    this.told.changed();
  }

  // -- keys

  #keydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    this.#fast = event.shiftKey;
    if (key in WALKS) {
      this.#held.add(key);
      this.told.changed();
    } else if (!this.#stroke(key, event.shiftKey) && !this.told.key(event)) return;
    event.preventDefault();
  }

  #stroke(key, shift) {
    const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (key in arrows) {
      const [x, y] = arrows[key];
      if (shift) this.eye.pan(x * 0.06, y * 0.06);
      else if (this.mode === "fly") this.eye.turn(-x * KEY_TURN, y * KEY_TURN);
      else this.eye.orbit(x * KEY_TURN, y * KEY_TURN);
    } else if (key === "+" || key === "=") this.eye.zoom(0.85);
    else if (key === "-" || key === "_") this.eye.zoom(1 / 0.85);
    else if (key in LOOKS) this.told.look(LOOKS[key]);
    else return false;
    this.told.changed();
    return true;
  }

  #keyup(event) {
    this.#held.delete(event.key.toLowerCase());
    this.#fast = event.shiftKey;
  }

  /** Whether keys are held that move the eye. */
  get walking() {
    return this.#held.size > 0;
  }

  // A step's length follows from how far away the looked at is, within what makes sense in a plant.
  #pace() {
    const { reach, distance } = this.eye;
    return Math.min(Math.max(distance, reach * 0.02), reach * 0.5);
  }

  /** Walk by the keys held. @param {number} seconds since the last step */
  step(seconds) {
    if (this.#held.size === 0) return;
    const length = this.#pace() * 0.6 * (this.#fast ? 4 : 1) * Math.min(seconds, 0.1);
    let [right, up, ahead] = [0, 0, 0];
    for (const key of this.#held) {
      right += WALKS[key][0] * length;
      up += WALKS[key][1] * length;
      ahead += WALKS[key][2] * length;
    }
    this.eye.walk(right, up, ahead);
  }
}
