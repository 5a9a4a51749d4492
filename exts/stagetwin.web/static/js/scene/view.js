import { Feed } from "./feed.js";
import { gesturesOf } from "./gestures.js";
import { Ghosts } from "./ghosts.js";
import { Hiding } from "./hiding.js";
import { Looking } from "./looking.js";
import { Loop } from "./loop.js";
import { vec } from "./matrices.js";
import { Navigation } from "./navigation.js";
import { Picture } from "./picture.js";

const ACCENT = "#ffb020";
const REBASE_BEYOND = 400; // m

/** A plant on a canvas. The whole of it is described in API.md. */
export class View extends Looking {
  #loop = new Loop((now) => this.#draw(now));
  #loading = 0;
  #wanted = -1;
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
    super(canvas);
    this.options = { antialias: true, smooth: true, shadows: true, theme: "dark", ...options };
    const changed = () => this.invalidate();
    this.ghosts = new Ghosts(this.plant, this.poses, changed);
    this.hiding = new Hiding(this.plant, changed);
    this.picture = new Picture(canvas, this.plant, this.options);
    this.picture.add(this.plant.root, this.ghosts.group, this.sections.group, this.hiding.group);
    this.feed = new Feed(this.plant, this.options.smooth, changed);
    this.navigation = new Navigation(canvas, this.eye, gesturesOf(this));
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
    if (attempt === 0) this.#wanted = epoch;
    try {
      const answer = await fetch("/scene/manifest.json", { cache: "no-cache" });
      if (!answer.ok) throw new Error(`the scene's manifest: HTTP ${answer.status}`);
      await this.load(await answer.json(), fetchGlb);
    } catch (error) {
      this.emit("error", error);
      // A service that begins may not have its scene yet; a newer scene makes this one pointless.
      if (attempt > 6 || this.#wanted !== epoch || this.#disposed) return;
      setTimeout(() => this.#wanted === epoch && this.#loadFrom(epoch, attempt + 1), 500 * 2 ** attempt);
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
    this.ghosts.fetchGlb = fetchModel;
    const drawn = await this.plant.load(
      manifest,
      fetchModel,
      (done, total) => this.emit("progress", { done, total }),
      () => number === this.#loading && !this.#disposed,
    );
    if (!drawn) return;
    this.hiding.rebuild();
    this.beginLooking(manifest);
    this.picture.rebuild();
    this.ghosts.rebuild();
    this.pins.stale = true;
    this.ready = true;
    this.feed.bind();
    this.invalidate();
    this.emit("load", manifest);
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

  /** @returns {Promise<void>} resolves when all is here that is to be drawn, textures too */
  async settled() {
    await this.plant.materials.settled();
    await this.idle();
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
    return picture.draw(eye, this.boundsOfAll(), now);
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

  // -- picking and selecting

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
    return this.picture.still(this.eye, this.boundsOfAll(), width, height, type).finally(() => {
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
