import { Events } from "../core/events.js";
import { Eye } from "./eye.js";
import { vec } from "./matrices.js";
import { Picker } from "./picker.js";
import { Pins } from "./pins.js";
import { Plant } from "./plant.js";
import { boundsOf, piecesOf, Poses } from "./poses.js";
import { Sections } from "./sections.js";

const LOOKS = {
  top: [0, 0.02, -1],
  bottom: [0, 0.02, 1],
  front: [0, 1, -0.15],
  back: [0, -1, -0.15],
  left: [1, 0, -0.15],
  right: [-1, 0, -0.15],
  iso: [-1, 1, -0.75],
};

/** The half of a view that looks: the eye and what it can be asked about the scene. */
export class Looking extends Events {
  #bounds = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.eye = new Eye();
    this.plant = new Plant(() => this.invalidate());
    this.poses = new Poses(this.plant);
    this.sections = new Sections(this.plant, () => this.boundsOfAll());
    this.picker = new Picker(this.plant, this.poses, this.sections, this.eye);
    this.pins = new Pins(this.poses, () => this.invalidate());
    this.ready = false;
  }

  /** Have a frame drawn. */
  invalidate() {}

  /** Take the size of a new scene, and look at the first one as its first camera does. */
  beginLooking(manifest) {
    this.#bounds = null;
    const [low, high] = this.boundsOfAll();
    this.eye.up = this.plant.stage.up === "Y" ? [0, 1, 0] : [0, 0, 1];
    this.eye.reach = Math.max(vec.length(vec.sub(high, low)), 1e-6);
    if (this.ready) return;
    this.plant.rebase(vec.mix(low, high, 0.5));
    const camera = manifest.cameras?.[0];
    if (camera) {
      this.eye.goTo(camera);
      this.#aimAtSurface();
    } else this.eye.goTo(this.eye.framing([low, high], this.#stageWay("iso")));
  }

  // A camera of the stage may say its direction alone; turning needs to know what is looked at.
  #aimAtSurface() {
    const hit = this.picker.first(this.eye.position, this.eye.forward);
    if (hit !== null) this.eye.aim(hit.distance);
  }

  /** @returns {[number[], number[]]} of the whole scene, stage space */
  boundsOfAll() {
    this.#bounds ??= boundsOf(this.plant, piecesOf(this.plant, "/")) ?? [
      [-1, -1, -1],
      [1, 1, 1],
    ];
    return this.#bounds;
  }

  get cameras() {
    return this.plant.stage?.manifest.cameras ?? [];
  }

  get mode() {
    return this.navigation.mode;
  }

  set mode(mode) {
    this.navigation.mode = mode === "fly" ? "fly" : "orbit";
  }

  get camera() {
    return this.eye.view;
  }

  set camera(camera) {
    this.setCamera(camera);
  }

  /** Look as another camera does. */
  setCamera(camera, { seconds = 0 } = {}) {
    this.eye.goTo(camera, { seconds: this.#length(seconds), now: performance.now() });
    this.invalidate();
  }

  /** Look as a camera of the stage does, through its own lens (lens.js), until the next move. */
  lookThrough(camera, lens) {
    this.eye.lookThrough(camera, lens);
    this.invalidate();
  }

  #length(seconds) {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : seconds;
  }

  /** Show prims whole; null shows everything. */
  fit(what, { seconds = 0.4 } = {}) {
    const paths = what === null || what === undefined ? null : [what].flat();
    const bounds =
      paths === null
        ? this.boundsOfAll()
        : boundsOf(this.plant, paths.flatMap((path) => piecesOf(this.plant, path)));
    if (bounds === null) return false;
    this.setCamera(this.eye.framing(bounds), { seconds });
    return true;
  }

  /** Look from one side at what is in sight: `top`, `front`, `iso`, ... */
  look(side, { seconds = 0.4 } = {}) {
    const way = vec.unit(this.#stageWay(side));
    const position = vec.sub(this.eye.target, vec.scale(way, this.eye.distance));
    this.setCamera({ position, target: this.eye.target }, { seconds });
  }

  #stageWay(side) {
    const [x, y, z] = LOOKS[side] ?? LOOKS.iso;
    return this.plant.stage?.up === "Y" ? [x, z, -y] : [x, y, z];
  }

  /** Where a point of the stage is on the canvas [CSS px]. */
  project(point) {
    const { x, y, depth } = this.eye.project(point);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return {
      x: ((x + 1) / 2) * width,
      y: ((1 - y) / 2) * height,
      depth,
      visible: depth > 0 && Math.abs(x) <= 1 && Math.abs(y) <= 1,
    };
  }

  /** The ray of a place on the canvas [CSS px]. */
  ray(x, y) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [u, v] = [(2 * x) / width - 1, 1 - (2 * y) / height];
    return { origin: this.eye.rayFrom(u, v), direction: this.eye.rayThrough(u, v) };
  }

  // -- what is where

  /** What lies under a place on the canvas, or null. */
  pick(x, y) {
    if (!this.ready) return null;
    const { origin, direction } = this.ray(x, y);
    return this.picker.first(origin, direction);
  }

  /** Whether something of a prim can be drawn. */
  has(path) {
    return piecesOf(this.plant, path).length > 0;
  }

  /** Bounds in stage space, as drawn now. */
  bounds(path) {
    return boundsOf(this.plant, piecesOf(this.plant, path));
  }

  /** Matrix of a prim to the stage, as drawn now. */
  poseOf(path) {
    const pose = this.poses.of(path);
    return pose === null ? null : Array.from(pose.world);
  }
}
