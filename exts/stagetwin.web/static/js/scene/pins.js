import { Events } from "../core/events.js";
import { movePoint } from "./matrices.js";

const LOOK_EVERY = 250; // ms between looks at what hides a pin

/** Points that stay with prims, and where they are in the picture. */
export class Pins extends Events {
  #pins = new Map();
  #out = new Map();
  #looked = -Infinity;

  /**
   * @param {import("./poses.js").Poses} poses
   * @param {() => void} changed called when the places are out of date
   */
  constructor(poses, changed = () => {}) {
    super();
    this.poses = poses;
    this.changed = changed;
  }

  #expire() {
    this.stale = true;
    this.changed();
  }

  /**
   * Set a pin.
   *
   * @param {string} id
   * @param {{path?: string, local?: number[], point?: number[]}} anchor
   */
  set(id, anchor) {
    this.#pins.set(id, anchor);
    const place = { x: 0, y: 0, depth: 0, visible: false, hidden: false, lost: false };
    if (!this.#out.has(id)) this.#out.set(id, place);
    this.#expire();
  }

  remove(id) {
    this.#pins.delete(id);
    this.#out.delete(id);
    this.#expire();
  }

  clear() {
    this.#pins.clear();
    this.#out.clear();
    this.#expire();
  }

  get size() {
    return this.#pins.size;
  }

  /**
   * Return where a pin is in stage space, or null where its prim is not drawn.
   *
   * @param {string} id
   * @returns {number[]|null}
   */
  point(id) {
    const { path, local, point } = this.#pins.get(id) ?? {};
    if (point) return point;
    const pose = path && this.poses.of(path);
    if (!pose) return null;
    return movePoint([0, 0, 0], pose.world, 0, ...(local ?? [0, 0, 0]));
  }

  /**
   * Compute the places, and tell.
   *
   * @param {(point: number[]) => {x: number, y: number, depth: number, visible: boolean}} project
   * @param {(point: number[]) => boolean} isHidden
   * @param {number} now [ms]
   */
  update(project, isHidden, now) {
    if (this.#pins.size === 0 && !this.stale) return;
    const look = now - this.#looked > LOOK_EVERY;
    if (look) this.#looked = now;
    for (const [id, place] of this.#out) {
      const point = this.point(id);
      place.lost = point === null;
      if (point === null) {
        place.visible = false;
        continue;
      }
      const { x, y, depth, visible } = project(point);
      place.x = x;
      place.y = y;
      place.depth = depth;
      place.visible = visible;
      if (look || this.stale) place.hidden = visible && isHidden(point);
    }
    this.stale = false;
    this.emit("move", this.#out);
  }
}
