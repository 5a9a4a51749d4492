import { Kind, rowAt } from "../core/frames.js";

const SLOWEST = 250; // ms: beyond that a pose jumps late rather than crawls
const NONE = -1;

/**
 * What a session says of motion, brought to the bodies of the scene.
 *
 * The newest pose of every row is kept here as well: frames come while a scene is still on its way,
 * and a new scene begins where things are.
 */
export class Feed {
  #session = null;
  #off = [];
  #movers = [];
  #instancers = [];
  #mode = new Uint8Array(0);
  #poses = new Float64Array(0);
  #quaternions = new Float32Array(0);
  #matrices = new Map();
  #elements = [];
  #bodyOfMover = new Int32Array(0);
  #poseRows = new Int32Array(0);
  #watched = false;
  #heardAt = NaN;

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {boolean} smooth whether poses are interpolated between frames
   * @param {() => void} changed
   */
  constructor(plant, smooth, changed) {
    this.plant = plant;
    this.smooth = smooth;
    this.changed = changed;
    /** From one frame to the next [ms]. */
    this.interval = 33;
  }

  /**
   * Hear a session.
   *
   * @param {import("../core/session.js").Session} session
   * @param {(epoch: number) => void} load called with each new epoch
   * @returns {() => void} ends it
   */
  follow(session, load) {
    this.stop();
    this.#session = session;
    this.#off = [
      session.on("channels", () => this.#readTable()),
      session.on("frame", (frame) => this.apply(frame)),
      session.on("scene", load),
    ];
    this.#readTable();
    if (session.welcome !== null) load(session.epoch);
    return () => this.stop();
  }

  stop() {
    for (const off of this.#off) off();
    this.#off = [];
    this.#session = null;
  }

  #readTable() {
    this.setTable(this.#session.movers, this.#session.instancers, this.#session.channels);
  }

  /**
   * Take the rows that frames will name.
   *
   * @param {{path: string}[]} movers
   * @param {{path: string, count: number}[]} instancers
   * @param {object[]} channels
   */
  setTable(movers, instancers, channels = []) {
    this.#movers = movers;
    this.#instancers = instancers;
    this.#channels = channels;
    this.#mode = new Uint8Array(movers.length);
    this.#poses = new Float64Array(3 * movers.length);
    this.#quaternions = new Float32Array(4 * movers.length);
    this.#matrices.clear();
    this.#elements = instancers.map(() => null);
    this.bind();
  }

  #channels = [];

  /** Find the bodies of the rows in the scene as it is, and put them where the rows say. */
  bind() {
    const { stage } = this.plant;
    if (stage === null) return;
    this.#bodyOfMover = Int32Array.from(
      this.#movers,
      ({ path }) => stage.bodyOf.get(path) ?? NONE,
    );
    this.#bindQualities(stage);
    for (let row = 0; row < this.#movers.length; row++) this.#move(row, NaN);
    for (let row = 0; row < this.#instancers.length; row++) {
      if (this.#elements[row] !== null) this.#moveElements(row, this.#elements[row], NaN);
    }
    this.changed();
  }

  // Channels that drive poses tell how good these are.
  #bindQualities(stage) {
    this.#watched = false;
    this.#poseRows = Int32Array.from(this.#channels, (channel) => {
      const { target, prim, element } = channel;
      const property = (target ?? "").slice((target ?? "").lastIndexOf(".") + 1);
      const drives = /^(xformOp:|positions$|orientations$)/.test(property);
      if (!drives) return NONE;
      const path = target.slice(0, target.lastIndexOf("."));
      const instancer = stage.instancers.get(path) ?? stage.instancers.get(prim);
      let body = stage.bodyOf.get(path) ?? NONE;
      if (instancer && element >= 0 && element < instancer.count) body = instancer.first + element;
      this.#watched ||= body !== NONE;
      return body;
    });
  }

  /**
   * Take a frame.
   *
   * @param {import("../core/frames.js").Frame} frame
   */
  apply(frame) {
    const now = performance.now();
    let moved = false;
    for (const section of frame.sections) {
      if (section.kind >= Kind.MOVER_POSE) moved = true;
    }
    if (moved) this.#pace(now);
    const at = this.smooth ? now : NaN;
    for (const section of frame.sections) {
      if (section.kind === Kind.INSTANCER) this.#takeElements(section, at);
      else if (section.kind >= Kind.MOVER_POSE) this.#takeMovers(section, at);
      else if (this.#watched && section.qualities !== null) this.#takeQualities(section);
    }
    if (moved) this.changed();
  }

  // The mean time between frames, so that one pose is reached when the next one comes.
  #pace(now) {
    const gap = now - this.#heardAt;
    this.#heardAt = now;
    if (gap > 4 && gap < 1000) this.interval += 0.1 * (Math.min(gap, SLOWEST) - this.interval);
  }

  #takeMovers(section, now) {
    const { kind, count, values, quaternions, qualities } = section;
    for (let i = 0; i < count; i++) {
      const row = rowAt(section, i);
      if (row >= this.#mode.length) continue;
      this.#mode[row] = kind;
      if (kind === Kind.MOVER_POSE) {
        for (let k = 0; k < 3; k++) this.#poses[3 * row + k] = values[3 * i + k];
        for (let k = 0; k < 4; k++) this.#quaternions[4 * row + k] = quaternions[4 * i + k];
      } else this.#keepMatrix(row, values, 16 * i);
      this.#move(row, now);
      const body = this.#bodyOfMover[row] ?? NONE;
      if (qualities !== null && body !== NONE) this.plant.setQuality(body, qualities[i]);
    }
  }

  #keepMatrix(row, values, at) {
    let kept = this.#matrices.get(row);
    if (kept === undefined) this.#matrices.set(row, (kept = new Float64Array(16)));
    for (let k = 0; k < 16; k++) kept[k] = values[at + k];
  }

  #move(row, now) {
    const body = this.#bodyOfMover[row] ?? NONE;
    if (body === NONE || this.plant.stage === null) return;
    const { bodies } = this.plant.stage;
    if (this.#mode[row] === Kind.MOVER_POSE) {
      bodies.movePose(body, this.#poses, 3 * row, this.#quaternions, 4 * row, now);
    } else if (this.#mode[row] === Kind.MOVER_MATRIX) {
      bodies.moveMatrix(body, this.#matrices.get(row), 0);
    }
  }

  #takeElements(section, now) {
    const { first: row, count, values, qualities } = section;
    if (row >= this.#elements.length) return;
    let kept = this.#elements[row];
    if (kept?.length !== values.length) this.#elements[row] = kept = new Float32Array(values.length);
    kept.set(values);
    this.#moveElements(row, kept, now);
    const instancer = this.plant.stage?.instancers.get(this.#instancers[row].path);
    if (qualities === null || instancer === undefined) return;
    const size = Math.min(count, instancer.count);
    for (let n = 0; n < size; n++) this.plant.setQuality(instancer.first + n, qualities[n]);
  }

  #moveElements(row, values, now) {
    const { stage } = this.plant;
    const instancer = stage?.instancers.get(this.#instancers[row].path);
    if (instancer === undefined) return;
    const size = Math.min(values.length / 7, instancer.count);
    for (let n = 0; n < size; n++) {
      stage.bodies.movePose(instancer.first + n, values, 7 * n, values, 7 * n + 3, now);
    }
  }

  #takeQualities(section) {
    for (let i = 0; i < section.count; i++) {
      const body = this.#poseRows[rowAt(section, i)];
      if (body !== undefined && body !== NONE) this.plant.setQuality(body, section.qualities[i]);
    }
  }
}
