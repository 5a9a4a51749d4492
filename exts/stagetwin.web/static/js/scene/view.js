import { Events } from "../core/events.js";
import { Eye } from "./eye.js";
import { Feed } from "./feed.js";
import { gesturesOf } from "./gestures.js";
import { Ghosts } from "./ghosts.js";
import { Hiding } from "./hiding.js";
import { Loop } from "./loop.js";
import { vec } from "./matrices.js";
import { Navigation } from "./navigation.js";
import { Picker } from "./picker.js";
import { Picture } from "./picture.js";
import { Pins } from "./pins.js";
import { Plant } from "./plant.js";
import { boundsOf, piecesOf, Poses } from "./poses.js";
import { Sections } from "./sections.js";

const ACCENT = "#ffb020";
const REBASE_BEYOND = 400; // m
const LOOKS = {
  top: [0, 0.02, -1],
  bottom: [0, 0.02, 1],
  front: [0, 1, -0.15],
  back: [0, -1, -0.15],
  left: [1, 0, -0.15],
  right: [-1, 0, -0.15],
  iso: [-1, 1, -0.75],
};

/** A plant on a canvas. The whole of it is described in API.md. */
export class View extends Events {
  #loop = new Loop((now) => this.#draw(now));
  #loading = 0;
  #bounds = null;
  #walkedAt = 0;
  #eyeVersion = -1;
  #cutVersion = -1;
  #selection = [];
  #disposed = false;

  /** Options as a page's address has them: `?aa=0&smooth=0&shadows=0&dpr=1&test=1`. */
  static optionsFrom(search) {
    const given = new URLSearchParams(search);
    const on = (name) => given.get(name) !== "0";
    return {
      antialias: on("aa"),
      smooth: on("smooth"),
      shadows: on("shadows"),
      pixelRatio: Number(given.get("dpr")) || 2,
      test: given.get("test") === "1",
      preserve: given.get("test") === "1",
    };
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} [options] see API.md
   */
  constructor(canvas, options = {}) {
    super();
    this.canvas = canvas;
    this.options = { antialias: true, smooth: true, shadows: true, theme: "dark", ...options };
    const changed = () => this.invalidate();
    this.eye = new Eye();
    this.plant = new Plant(changed);
    this.poses = new Poses(this.plant);
    this.sections = new Sections(this.plant, () => this.#boundsOfAll());
    this.picker = new Picker(this.plant, this.poses, this.sections, this.eye);
    this.pins = new Pins(this.poses);
    this.ghosts = new Ghosts(this.plant, this.poses, changed);
    this.hiding = new Hiding(this.plant, changed);
    this.picture = new Picture(canvas, this.plant, this.options);
    this.picture.add(this.plant.root, this.ghosts.group, this.sections.group, this.hiding.group);
    this.feed = new Feed(this.plant, this.options.smooth, changed);
    this.navigation = new Navigation(canvas, this.eye, gesturesOf(this));
    this.ready = false;
    this.sections.on("change", changed);
    this.sections.on("handles", changed);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
    this.setTheme(this.options.theme);
    this.resize();
  }

  // -- scenes

  /**
   * Keep the picture at a session's state.
   *
   * @param {import("../core/session.js").Session} session
   * @returns {() => void} ends it
   */
  follow(session) {
    return this.feed.follow(session, (epoch) => this.#loadFrom(epoch));
  }

  async #loadFrom(epoch, attempt = 0) {
    const number = this.#loading;
    try {
      const answer = await fetch("/scene/manifest.json", { cache: "no-cache" });
      if (!answer.ok) throw new Error(`the scene's manifest: HTTP ${answer.status}`);
      await this.load(await answer.json(), fetchGlb);
    } catch (error) {
      this.emit("error", error);
      // A service that begins may not have its scene yet; a newer scene makes this one pointless.
      if (attempt < 6 && number === this.#loading && !this.#disposed) {
        setTimeout(() => this.#loadFrom(epoch, attempt + 1), 500 * 2 ** attempt);
      }
    }
  }

  /**
   * Draw a scene.
   *
   * @param {object} manifest as in docs/scene.md
   * @param {(hash: string) => Promise<ArrayBuffer>} fetchModel
   */
  async load(manifest, fetchModel) {
    const number = ++this.#loading;
    const first = !this.ready;
    this.ghosts.fetchGlb = fetchModel;
    const drawn = await this.plant.load(
      manifest,
      fetchModel,
      (done, total) => this.emit("progress", { done, total }),
      () => number === this.#loading && !this.#disposed,
    );
    if (!drawn) return;
    this.#bounds = null;
    this.eye.up = this.plant.stage.up === "Y" ? [0, 1, 0] : [0, 0, 1];
    this.hiding.rebuild();
    this.#measure();
    if (first) this.#firstLook(manifest);
    this.picture.rebuild();
    this.ghosts.rebuild();
    this.pins.stale = true;
    this.ready = true;
    this.feed.bind();
    this.invalidate();
    this.emit("load", manifest);
  }

  #measure() {
    const [low, high] = this.#boundsOfAll();
    this.eye.reach = Math.max(vec.length(vec.sub(high, low)), 1e-6);
  }

  #firstLook(manifest) {
    const [low, high] = this.#boundsOfAll();
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

  #boundsOfAll() {
    this.#bounds ??= boundsOf(this.plant, piecesOf(this.plant, "/")) ?? [
      [-1, -1, -1],
      [1, 1, 1],
    ];
    return this.#bounds;
  }

  get cameras() {
    return this.plant.stage?.manifest.cameras ?? [];
  }

  // -- drawing

  /** Have a frame drawn; many calls are one. */
  invalidate() {
    this.#loop.invalidate();
  }

  /** @returns {Promise<void>} resolves when nothing is left to draw */
  idle() {
    return this.#loop.idle();
  }

  // @returns {boolean} whether another frame is due
  #draw(now) {
    const began = performance.now();
    this.navigation.step((now - this.#walkedAt) / 1000);
    this.#walkedAt = now;
    const flying = this.eye.step(now);
    const moved = this.ready && this.plant.step(now, this.feed.interval);
    this.#follow();
    const late = this.#present(now);
    const looked = this.eye.version !== this.#eyeVersion;
    this.#eyeVersion = this.eye.version;
    if (moved || looked || this.pins.stale) this.#pin(now);
    this.picture.count(performance.now() - began);
    if (looked) this.emit("camera");
    if (this.heard("frame")) this.emit("frame", this.stats);
    return flying || late || this.navigation.walking || this.plant.stage?.bodies.moving === true;
  }

  // The drawing's origin stays near the camera: float32 is exact enough for some hundred metres.
  #follow() {
    const { plant, eye } = this;
    if (plant.stage === null) return;
    const away = vec.length(vec.sub(eye.position, plant.origin)) * plant.stage.unit;
    const near = eye.distance * plant.stage.unit;
    if (away > REBASE_BEYOND + 2 * near) {
      plant.rebase(eye.target);
    }
  }

  #present(now) {
    const { eye, picture, sections } = this;
    const planes = sections.place(eye);
    if (sections.version !== this.#cutVersion) {
      picture.cut(planes);
      this.ghosts.cut(planes);
      this.#cutVersion = sections.version;
    }
    this.hiding.update();
    this.ghosts.update();
    return picture.draw(eye, this.#boundsOfAll(), now);
  }

  #pin(now) {
    if (this.pins.size === 0 && !this.pins.stale) return;
    this.pins.update(
      (point) => this.project(point),
      (point) => this.picker.hides(point),
      now,
    );
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    this.eye.aspect = width / height;
    this.eye.version++;
    this.picture.resize(width, height);
    this.invalidate();
  }

  /** Figures of the last frames. */
  get stats() {
    const { plant, picture } = this;
    return {
      ...picture.stats,
      epoch: plant.stage?.epoch ?? -1,
      bodies: (plant.stage?.bodies.count ?? 1) - 1,
      batches: [...plant.batches].length,
      models: plant.modelCount,
    };
  }

  // -- looking

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

  #length(seconds) {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : seconds;
  }

  /** Show prims whole; null shows everything. */
  fit(what, { seconds = 0.4 } = {}) {
    const paths = what === null || what === undefined ? null : [what].flat();
    const bounds =
      paths === null
        ? this.#boundsOfAll()
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
    const direction = this.eye.rayThrough((2 * x) / width - 1, 1 - (2 * y) / height);
    return { origin: [...this.eye.position], direction };
  }

  // -- picking and selecting

  /** What lies under a place on the canvas, or null. */
  pick(x, y) {
    if (!this.ready) return null;
    const { origin, direction } = this.ray(x, y);
    return this.picker.first(origin, direction);
  }

  get selection() {
    return [...this.#selection];
  }

  /** Select prims; null selects nothing. */
  select(paths) {
    this.#selection = paths === null || paths === undefined ? [] : [paths].flat();
    this.highlight("selection", this.#selection, ACCENT);
  }

  /** Outline prims beside the selection. */
  highlight(key, paths, colour = ACCENT) {
    this.picture.outlines.set(key, paths, colour);
    this.invalidate();
  }

  /** Lay a colour over a prim. */
  tint(path, colour, strength = 0.55) {
    if (this.picture.tints.set(path, colour, strength)) this.invalidate();
  }

  clearTints() {
    this.picture.tints.clear();
    this.invalidate();
  }

  /** The short form of a ghost for one prim. */
  setGhost(path, pose) {
    if (pose === null) this.ghosts.remove(`prim ${path}`);
    else this.ghosts.set(`prim ${path}`, [{ path, ...pose }]);
  }

  hide(path) {
    this.hiding.hide(path);
    this.picture.rebuild();
  }

  show(path) {
    this.hiding.show(path);
    this.picture.rebuild();
  }

  /** Draw these prims alone; null draws all again. */
  isolate(paths) {
    this.hiding.isolate(paths === null ? null : [paths].flat());
    this.picture.rebuild();
  }

  get hidden() {
    return this.hiding.list;
  }

  setPurposes(purposes) {
    this.plant.set(purposes);
    this.picture.rebuild();
  }

  setShowInvisible(invisible) {
    this.plant.set({ invisible });
    this.picture.rebuild();
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

  // -- looks

  setTheme(theme) {
    this.picture.setTheme(theme);
    this.invalidate();
  }

  setGrid(shown) {
    this.picture.grid.mesh.visible = shown;
    this.invalidate();
  }

  setShadows(shown) {
    this.picture.setShadows(shown);
    this.invalidate();
  }

  /** @returns {Promise<Blob>} the picture as it is, in another size where one is given */
  screenshot({ width, height, type = "image/png" } = {}) {
    return this.picture.still(this.eye, this.#boundsOfAll(), width, height, type).finally(() => {
      this.resize();
    });
  }

  /** Let tests look: a frozen `window.stagetwin`. */
  expose(session = null) {
    const handle = Object.freeze({ view: this, session, idle: () => this.idle() });
    Object.defineProperty(window, "stagetwin", { value: handle, configurable: true });
  }

  dispose() {
    this.#disposed = true;
    this.#loop.stop();
    this.observer.disconnect();
    this.navigation.dispose();
    this.feed.stop();
    this.ghosts.clear();
    this.hiding.dispose();
    this.sections.dispose();
    this.picture.dispose();
    this.plant.dispose();
  }
}

async function fetchGlb(hash) {
  const answer = await fetch(`/scene/glb/${hash}.glb`);
  if (!answer.ok) throw new Error(`model ${hash}: HTTP ${answer.status}`);
  return answer.arrayBuffer();
}
