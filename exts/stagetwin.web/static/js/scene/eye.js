import { conformed, onWindow } from "./lens.js";
import { vec } from "./matrices.js";

const EASE = (t) => 1 - (1 - t) ** 3;
const STEEPEST = 0.999;

/**
 * Where this viewer looks from: position, target and up in stage space, in float64.
 *
 * Pure: it knows no canvas and no events (navigation.js turns those into its turns and steps).
 */
export class Eye {
  #flight = null;

  constructor() {
    this.up = [0, 0, 1];
    this.position = [10, -10, 10];
    this.target = [0, 0, 0];
    /** Vertical field of view [degrees]. */
    this.fov = 42;
    this.aspect = 1;
    /**
     * A camera's own lens, where a picture obeys it to the last pixel; null for the plain one.
     * @type {import("./lens.js").Lens|null}
     */
    this.lens = null;
    /** Size of the scene [stage units], and its centre. */
    this.reach = 10;
    this.version = 0;
  }

  get distance() {
    return vec.length(vec.sub(this.target, this.position));
  }

  get forward() {
    return vec.unit(vec.sub(this.target, this.position));
  }

  get right() {
    const side = vec.cross(this.forward, this.lens?.up ?? this.up);
    return vec.length(side) > 1e-9 ? vec.unit(side) : vec.unit(vec.cross([1, 0, 0.001], this.up));
  }

  get above() {
    return vec.cross(this.right, this.forward);
  }

  /** @returns {{position: number[], target: number[], up: number[], fov: number}} */
  get view() {
    const { position, target, fov } = this;
    return { position: [...position], target: [...target], up: this.above, fov };
  }

  /** Look from elsewhere; over some seconds, or at once. The stage's up stays up: nothing rolls. */
  goTo({ position, target, fov }, { seconds = 0, now = 0 } = {}) {
    this.lens = null;
    const goal = {
      position: [...(position ?? this.position)],
      target: [...(target ?? this.target)],
      fov: fov ?? this.fov,
    };
    if (seconds > 0) {
      this.#flight = { from: this.view, goal, began: now, length: seconds * 1000 };
      return;
    }
    this.#flight = null;
    Object.assign(this, goal);
    this.version++;
  }

  /** Go on with what is on its way. @returns {boolean} whether it still is */
  step(now) {
    if (this.#flight === null) return false;
    const { from, goal, began, length } = this.#flight;
    const t = Math.min(Math.max((now - began) / length, 0), 1);
    const s = EASE(t);
    this.position = vec.mix(from.position, goal.position, s);
    this.target = vec.mix(from.target, goal.target, s);
    this.fov = from.fov + (goal.fov - from.fov) * s;
    this.version++;
    if (t === 1) this.#flight = null;
    return this.#flight !== null;
  }

  /** Look through a camera's own lens, roll and all, until the next move. */
  lookThrough(camera, lens) {
    this.goTo(camera);
    this.lens = lens;
  }

  /** The lens, widened so that all that it sees is in a picture of this shape. */
  get gate() {
    return conformed(this.lens, this.aspect);
  }

  /** @returns {number[]} from where a point is seen: parallel rays come from beside the eye */
  seenFrom(point) {
    if (this.lens?.orthographic !== true) return this.position;
    const depth = vec.dot(vec.sub(point, this.position), this.forward);
    return vec.sub(point, vec.scale(this.forward, Math.max(depth, 0)));
  }

  get flying() {
    return this.#flight !== null;
  }

  #change() {
    this.#flight = null;
    this.lens = null;
    this.version++;
  }

  /** Turn about the target [rad]. */
  orbit(sideways, upwards) {
    const { right } = this;
    let out = vec.sub(this.position, this.target);
    out = vec.turn(out, this.up, -sideways);
    const side = vec.turn(right, this.up, -sideways);
    const tilted = vec.turn(out, side, -upwards);
    if (Math.abs(vec.dot(vec.unit(tilted), this.up)) < STEEPEST) out = tilted;
    this.position = vec.add(this.target, out);
    this.#change();
  }

  /** Turn the head [rad]. */
  turn(sideways, upwards) {
    const out = vec.turn(vec.sub(this.target, this.position), this.up, -sideways);
    const side = vec.turn(this.right, this.up, -sideways);
    const tilted = vec.turn(out, side, upwards);
    const ahead = Math.abs(vec.dot(vec.unit(tilted), this.up)) < STEEPEST ? tilted : out;
    this.target = vec.add(this.position, ahead);
    this.#change();
  }

  /** Move across the picture, in parts of its height. */
  pan(x, y) {
    const scale = 2 * this.distance * Math.tan((this.fov * Math.PI) / 360);
    const step = vec.add(vec.scale(this.right, -x * scale), vec.scale(this.above, y * scale));
    this.#shift(step);
  }

  #shift(step) {
    this.position = vec.add(this.position, step);
    this.target = vec.add(this.target, step);
    this.#change();
  }

  /** Move by a step in the viewer's own axes [stage units]. */
  walk(right, up, ahead) {
    const step = vec.add(
      vec.add(vec.scale(this.right, right), vec.scale(this.up, up)),
      vec.scale(this.forward, ahead),
    );
    this.#shift(step);
  }

  /** Come nearer to a point by a factor below 1, or move away from it. */
  zoom(factor, point = this.target) {
    const least = this.reach * 1e-4;
    const limited = Math.max(factor, least / Math.max(this.distance, least));
    if (this.distance * limited > this.reach * 60) return;
    this.position = vec.add(point, vec.scale(vec.sub(this.position, point), limited));
    this.target = vec.add(point, vec.scale(vec.sub(this.target, point), limited));
    this.#change();
  }

  /** Turn about another point from now on, without a jump: it must lie on the line of sight. */
  aim(distance) {
    this.target = vec.add(this.position, vec.scale(this.forward, distance));
  }

  /** @returns {{position: number[], target: number[]}} the view that just shows a box, from a side */
  framing([low, high], direction = this.forward) {
    const forward = vec.unit(direction);
    const right = vec.unit(vec.cross(forward, this.up));
    const above = vec.cross(right, forward);
    const centre = vec.mix(low, high, 0.5);
    const half = Math.tan((this.fov * Math.PI) / 360) * 0.84;
    let distance = vec.length(vec.sub(high, low)) * 0.05;
    for (let corner = 0; corner < 8; corner++) {
      const at = [0, 1, 2].map((k) => ((corner >> k) & 1 ? high : low)[k] - centre[k]);
      const wide = Math.abs(vec.dot(at, right)) / (half * this.aspect);
      const tall = Math.abs(vec.dot(at, above)) / half;
      distance = Math.max(distance, Math.max(wide, tall) - vec.dot(at, forward));
    }
    distance = Math.max(distance, this.reach * 1e-4);
    return { position: vec.sub(centre, vec.scale(forward, distance)), target: centre };
  }

  /** @returns {number[]} unit direction through a point of the picture, -1 to 1 from its centre */
  rayThrough(x, y) {
    if (this.lens?.orthographic === true) return this.forward;
    if (this.lens !== null) return vec.unit(vec.add(this.forward, this.#across(x, y)));
    const half = Math.tan((this.fov * Math.PI) / 360);
    return vec.unit(
      vec.add(
        this.forward,
        vec.add(
          vec.scale(this.right, x * half * this.aspect),
          vec.scale(this.above, y * half),
        ),
      ),
    );
  }

  /** @returns {number[]} where that ray begins */
  rayFrom(x, y) {
    if (this.lens?.orthographic !== true) return [...this.position];
    return vec.add(this.position, this.#across(x, y));
  }

  // A place on the lens' window, from its axis.
  #across(x, y) {
    const [left, right, bottom, top] = this.gate.window;
    return vec.add(
      vec.scale(this.right, left + ((x + 1) / 2) * (right - left)),
      vec.scale(this.above, bottom + ((y + 1) / 2) * (top - bottom)),
    );
  }

  /** @returns {{x: number, y: number, depth: number}} a point's place, -1 to 1; behind: depth < 0 */
  project(point) {
    const out = vec.sub(point, this.position);
    const depth = vec.dot(out, this.forward);
    if (this.lens !== null) {
      const { right, above } = this;
      return { ...onWindow(this.gate, vec.dot(out, right), vec.dot(out, above), depth), depth };
    }
    const half = Math.tan((this.fov * Math.PI) / 360);
    const scale = 1 / (Math.abs(depth) * half || 1e-12);
    return {
      x: (vec.dot(out, this.right) * scale) / this.aspect,
      y: vec.dot(out, this.above) * scale,
      depth,
    };
  }
}
