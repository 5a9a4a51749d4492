import { compose, copyMatrix, matrix, multiply } from "./matrices.js";

const POSE = 1;
const MATRIX = 2;
const ONES = Float64Array.of(1, 1, 1);
/** A step longer than this within one frame is no motion but a new place [stage units]. */
const LEAP = 20;

/**
 * Everything that moves: prims, nodes inside models, elements of PointInstancers.
 *
 * Columns, one row a body. Body 0 is the stage, which stands. A body's local transform is a matrix,
 * or a pose with scales; poses are interpolated from what is drawn to what the newest frame says.
 * Nothing is allocated while bodies move.
 */
export class Bodies {
  #capacity = 0;
  #active;
  #activeCount = 0;
  #movedCount = 0;
  #stamp = 1;

  constructor() {
    this.count = 0;
    this.paths = [];
    this.#room(64);
    this.add(0, matrix(), matrix(), "/");
  }

  #room(size) {
    if (size <= this.#capacity) return;
    const capacity = Math.max(size, this.#capacity * 2);
    const grow = (Type, old, width) => {
      const out = new Type(capacity * width);
      if (old) out.set(old);
      return out;
    };
    this.parent = grow(Int32Array, this.parent, 1);
    this.base = grow(Float64Array, this.base, 16);
    this.local = grow(Float64Array, this.local, 16);
    this.world = grow(Float64Array, this.world, 16);
    this.mode = grow(Uint8Array, this.mode, 1);
    this.from = grow(Float64Array, this.from, 7);
    this.shown = grow(Float64Array, this.shown, 7);
    this.to = grow(Float64Array, this.to, 7);
    this.scales = grow(Float64Array, this.scales, 3);
    this.began = grow(Float64Array, this.began, 1);
    this.quality = grow(Uint8Array, this.quality, 1);
    this.moved = grow(Uint32Array, this.moved, 1);
    this.running = grow(Uint8Array, this.running, 1);
    this.told = grow(Uint8Array, this.told, 1);
    this.hasChildren = grow(Uint8Array, this.hasChildren, 1);
    this.#active = grow(Int32Array, this.#active, 1);
    this.movedRows = grow(Int32Array, this.movedRows, 1);
    this.#capacity = capacity;
  }

  /**
   * Add a body. Parents come before their children.
   *
   * @param {number} parent
   * @param {ArrayLike<number>} base matrix from the body's own parent node to the parent body
   * @param {ArrayLike<number>} local
   * @param {string} path
   * @returns {number} its row
   */
  add(parent, base, local, path) {
    this.#room(this.count + 1);
    const row = this.count++;
    this.parent[row] = parent;
    if (row > 0) this.hasChildren[parent] = 1;
    copyMatrix(this.base, 16 * row, base, 0);
    copyMatrix(this.local, 16 * row, local, 0);
    this.mode[row] = MATRIX;
    this.scales.set(ONES, 3 * row);
    this.paths.push(path);
    this.#place(row);
    return row;
  }

  /** Set scales that a pose keeps, and the pose, at once. */
  setPose(row, position, p, quaternion, q, scales, s) {
    for (let k = 0; k < 3; k++) {
      this.scales[3 * row + k] = scales[s + k];
      this.to[7 * row + k] = position[p + k];
    }
    for (let k = 0; k < 4; k++) this.to[7 * row + 3 + k] = quaternion[q + k];
    this.#arrive(row);
    this.#place(row);
  }

  #arrive(row) {
    const at = 7 * row;
    for (let k = 0; k < 7; k++) this.shown[at + k] = this.to[at + k];
    this.mode[row] = POSE;
    this.running[row] = 0;
    compose(this.local, 16 * row, this.to, at, this.to, at + 3, this.scales, 3 * row);
  }

  /**
   * Take a pose of a frame.
   *
   * @param {number} now of the display [ms]; NaN shows it at once
   */
  movePose(row, position, p, quaternion, q, now) {
    const at = 7 * row;
    const { to, shown, from } = this;
    const same =
      this.mode[row] === POSE &&
      to[at] === position[p] &&
      to[at + 1] === position[p + 1] &&
      to[at + 2] === position[p + 2] &&
      to[at + 3] === quaternion[q] &&
      to[at + 4] === quaternion[q + 1] &&
      to[at + 5] === quaternion[q + 2] &&
      to[at + 6] === quaternion[q + 3];
    if (same) return;
    this.told[row] = 1;
    to[at] = position[p];
    to[at + 1] = position[p + 1];
    to[at + 2] = position[p + 2];
    to[at + 3] = quaternion[q];
    to[at + 4] = quaternion[q + 1];
    to[at + 5] = quaternion[q + 2];
    to[at + 6] = quaternion[q + 3];
    const dx = to[at] - shown[at];
    const dy = to[at + 1] - shown[at + 1];
    const dz = to[at + 2] - shown[at + 2];
    const leap = !(dx * dx + dy * dy + dz * dz < LEAP * LEAP);
    if (this.mode[row] !== POSE || leap || Number.isNaN(now)) {
      this.#arrive(row);
      this.#touch(row);
      return;
    }
    for (let k = 0; k < 7; k++) from[at + k] = shown[at + k];
    this.began[row] = now;
    if (this.running[row] === 0) {
      this.running[row] = 1;
      this.#active[this.#activeCount++] = row;
    }
  }

  /** Take a matrix of a frame; it is shown at once. */
  moveMatrix(row, values, at) {
    this.mode[row] = MATRIX;
    this.told[row] = 1;
    this.running[row] = 0;
    copyMatrix(this.local, 16 * row, values, at);
    this.#touch(row);
  }

  #touch(row) {
    if (this.moved[row] === this.#stamp) return;
    this.moved[row] = this.#stamp;
    this.movedRows[this.#movedCount++] = row;
  }

  /** Whether poses are still on their way to where the newest frame has them. */
  get moving() {
    return this.#activeCount > 0;
  }

  /**
   * Move what is on its way, and compute world matrices of all that moved.
   *
   * @param {number} now [ms]
   * @param {number} duration from one frame to the next [ms]
   * @returns {number} how many moved; their rows are the first of `movedRows`
   */
  step(now, duration) {
    let kept = 0;
    for (let i = 0; i < this.#activeCount; i++) {
      const row = this.#active[i];
      if (this.running[row] === 0) continue;
      const t = duration > 0 ? (now - this.began[row]) / duration : 1;
      if (t < 1) {
        this.#blend(row, t < 0 ? 0 : t);
        this.#active[kept++] = row;
      } else this.#arrive(row);
      this.#touch(row);
    }
    this.#activeCount = kept;
    this.#spread();
    for (let i = 0; i < this.#movedCount; i++) this.#place(this.movedRows[i]);
    const count = this.#movedCount;
    this.#movedCount = 0;
    this.#stamp++;
    return count;
  }

  // What moves takes along what is carried by it; parents come first, so one pass finds all.
  #spread() {
    const stamp = this.#stamp;
    let carried = false;
    for (let i = 0; i < this.#movedCount && !carried; i++) {
      carried = this.hasChildren[this.movedRows[i]] === 1;
    }
    if (!carried) return;
    this.#movedCount = 0;
    for (let row = 1; row < this.count; row++) {
      if (this.moved[row] === stamp || this.moved[this.parent[row]] === stamp) {
        this.moved[row] = stamp;
        this.movedRows[this.#movedCount++] = row;
      }
    }
  }

  #blend(row, t) {
    const at = 7 * row;
    const { from, to, shown } = this;
    for (let k = 0; k < 3; k++) shown[at + k] = from[at + k] + (to[at + k] - from[at + k]) * t;
    let dot = 0;
    for (let k = 3; k < 7; k++) dot += from[at + k] * to[at + k];
    // Between frames an angle is small: the chord is as good as the arc.
    const sign = dot < 0 ? -1 : 1;
    for (let k = 3; k < 7; k++) shown[at + k] = from[at + k] * (1 - t) + sign * to[at + k] * t;
    compose(this.local, 16 * row, shown, at, shown, at + 3, this.scales, 3 * row);
  }

  #place(row) {
    const at = 16 * row;
    multiply(this.world, at, this.base, at, this.local, at);
    const parent = this.parent[row];
    if (parent > 0) multiply(this.world, at, this.world, 16 * parent, this.world, at);
  }
}
