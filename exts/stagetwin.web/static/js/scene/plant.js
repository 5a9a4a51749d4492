import * as THREE from "../../vendor/three/three.module.js";
import { Batch } from "./batch.js";
import { Materials } from "./materials.js";
import { copyMatrix, IDENTITY, matrix, multiply } from "./matrices.js";
import { mirrored, mirrors, readModel } from "./model.js";
import { Stage } from "./stage.js";

const GREY = { 0: 0, 1: 60, 2: 210, 3: 210 };
const MIRROR = Float64Array.of(-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);

/**
 * The drawn plant: models placed by slots of batches, moved by bodies.
 *
 * Under one root that turns the stage's axes and units into the drawing's (Y up, metres). Positions
 * are relative to `origin`, which stays near the camera, so that a plant far from its stage's origin
 * is drawn without jitter.
 */
export class Plant {
  #models = new Map();
  #batches = new Map();
  #slotsBegin = new Int32Array(1);
  #slotBatch = [];
  #slotRow = new Int32Array(0);
  #settings = { render: true, proxy: false, guide: false, invisible: false };

  /** @param {() => void} changed called when the picture is out of date */
  constructor(changed) {
    this.root = new THREE.Group();
    this.root.matrixAutoUpdate = false;
    this.materials = new Materials(changed);
    this.changed = changed;
    /** @type {Stage|null} */
    this.stage = null;
    this.origin = [0, 0, 0];
    /** Matrix from stage axes and units to the drawing's; no translation. */
    this.toDrawing = matrix();
    /** How often anything moved or changed its look. */
    this.version = 0;
    /** How often anything that stands changed: what a still shadow depends on. */
    this.standing = 0;
  }

  /** @returns {Iterable<Batch>} */
  get batches() {
    return this.#batches.values();
  }

  get modelCount() {
    return this.#models.size;
  }

  /**
   * Draw a scene; models already here stay, and bodies that stay keep their poses.
   *
   * @param {object} manifest
   * @param {(hash: string) => Promise<ArrayBuffer>} fetchGlb
   * @param {(done: number, total: number) => void} progress
   * @param {() => boolean} wanted whether the scene is still the newest
   * @returns {Promise<boolean>} false where another became wanted meanwhile
   */
  async load(manifest, fetchGlb, progress = () => {}, wanted = () => true) {
    const stage = new Stage(manifest);
    const models = await this.#fetch(stage.models(), fetchGlb, progress, wanted);
    if (!wanted()) return false;
    stage.build(models);
    const before = this.stage;
    this.stage = stage;
    this.#models = models;
    turnToDrawing(this.toDrawing, stage.up, stage.unit);
    this.root.matrix.fromArray(this.toDrawing);
    this.root.matrixWorld.copy(this.root.matrix);
    this.#fill(before);
    this.applyHidden(() => 0);
    this.standing++;
    this.version++;
    this.changed();
    return true;
  }

  async #fetch(wantedModels, fetchGlb, progress, wanted) {
    const out = new Map();
    const total = wantedModels.size;
    let done = 0;
    const queue = [...wantedModels];
    const work = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [hash, movers] = next;
        const key = `${hash} ${movers.join(" ")}`;
        const kept = this.#models.get(hash);
        if (kept?.key === key) out.set(hash, kept);
        else {
          const buffer = await fetchGlb(hash);
          if (!wanted()) return;
          out.set(hash, readModel(key, buffer, movers));
        }
        progress(++done, total);
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    return out;
  }

  // What frames moved stays where it is until the next frame says more.
  #keepPoses(before) {
    if (before === null) return;
    const { bodies: old } = before;
    const rows = new Map(old.paths.map((path, row) => [path, row]));
    const { bodies } = this.stage;
    for (let row = 1; row < bodies.count; row++) {
      const from = rows.get(bodies.paths[row]);
      if (from !== undefined && old.told[from] === 1) bodies.moveMatrix(row, old.local, 16 * from);
    }
  }

  // -- slots

  #fill(before) {
    const { stage } = this;
    const plan = new Map();
    for (let p = 0; p < stage.placements.length; p++) this.#plan(plan, p);
    for (const [key, batch] of this.#batches) {
      const planned = plan.get(key);
      const fits = planned !== undefined && planned.slots.length <= batch.capacity;
      if (fits && planned.model === batch.model) continue;
      batch.dispose();
      this.#batches.delete(key);
    }
    for (const [key, { model, group, slots }] of plan) this.#fillBatch(key, model, group, slots);
    this.materials.keep(this.#models.values());
    this.#indexSlots();
    this.#keepPoses(before);
    stage.bodies.step(NaN, 0);
    this.rebase(this.origin);
    this.#show();
  }

  #plan(plan, p) {
    const placement = this.stage.placements[p];
    const model = this.#models.get(placement.glb);
    if (model === undefined) return;
    for (let g = 0; g < model.groups.length; g++) {
      const group = model.groups[g];
      if (group.parts.length === 0) continue;
      const within = placement.groups[g];
      const turned = mirrors(within.matrix);
      const shown = this.#mirroredGroup(model, g, turned);
      const at = matrix(IDENTITY);
      for (let k = 0; k < 3; k++) at[12 + k] = group.centre[k];
      multiply(at, 0, within.matrix, 0, at, 0);
      if (turned) multiply(at, 0, at, 0, MIRROR, 0);
      const key = `${model.key}|${g}${turned ? " mirrored" : ""}`;
      let planned = plan.get(key);
      if (planned === undefined) plan.set(key, (planned = { model, group: shown, slots: [] }));
      planned.slots.push({ body: within.body, placement: p, local: at });
    }
  }

  #mirroredGroup(model, g, turned) {
    if (!turned) return model.groups[g];
    model.mirrored ??= new Map();
    if (!model.mirrored.has(g)) model.mirrored.set(g, mirrored(model.groups[g]));
    return model.mirrored.get(g);
  }

  #fillBatch(key, model, group, slots) {
    let batch = this.#batches.get(key);
    if (batch === undefined) {
      const count = slots.length;
      const room = count < 4 ? count : Math.ceil(count * 1.25);
      batch = new Batch(key, model, group, room);
      batch.build(this.materials, this.root);
      this.#batches.set(key, batch);
    }
    batch.empty();
    const { placements } = this.stage;
    for (const { body, placement, local } of slots) {
      const slot = batch.add(body, placement, local);
      placements[placement].slots.push({ batch, slot });
    }
  }

  #indexSlots() {
    const { bodies } = this.stage;
    const counts = new Int32Array(bodies.count + 1);
    let total = 0;
    for (const batch of this.#batches.values()) {
      for (let s = 0; s < batch.count; s++) counts[batch.body[s] + 1]++;
      total += batch.count;
    }
    for (let b = 0; b < bodies.count; b++) counts[b + 1] += counts[b];
    this.#slotsBegin = counts.slice();
    this.#slotBatch = new Array(total);
    this.#slotRow = new Int32Array(total);
    const fill = counts;
    for (const batch of this.#batches.values()) {
      for (let s = 0; s < batch.count; s++) {
        const at = fill[batch.body[s]]++;
        this.#slotBatch[at] = batch;
        this.#slotRow[at] = s;
      }
    }
  }

  // -- motion

  /**
   * Move what is on its way.
   *
   * @param {number} now [ms]
   * @param {number} duration from frame to frame [ms]
   * @returns {boolean} whether anything moved
   */
  step(now, duration) {
    if (this.stage === null) return false;
    const { bodies } = this.stage;
    const moved = bodies.step(now, duration);
    if (moved === 0) return false;
    const begin = this.#slotsBegin;
    for (let i = 0; i < moved; i++) {
      const body = bodies.movedRows[i];
      for (let at = begin[body]; at < begin[body + 1]; at++) {
        this.#slotBatch[at].place(this.#slotRow[at], bodies, this.origin);
      }
    }
    this.#flush();
    this.version++;
    return true;
  }

  #flush() {
    for (const batch of this.#batches.values()) batch.flush();
  }

  /** Draw relative to another origin in stage space. */
  rebase(origin) {
    this.origin = [...origin];
    if (this.stage === null) return;
    for (const batch of this.#batches.values()) {
      for (let s = 0; s < batch.count; s++) batch.place(s, this.stage.bodies, this.origin);
      batch.flush();
    }
    this.version++;
    this.standing++;
  }

  /** Grey out a body whose pose is old or bad: 0 good, 1 uncertain, 2 bad, 3 stale. */
  setQuality(body, quality) {
    const amount = GREY[quality] ?? 0;
    for (let at = this.#slotsBegin[body]; at < this.#slotsBegin[body + 1]; at++) {
      if (this.#slotBatch[at].grey(this.#slotRow[at], amount)) this.changed();
    }
  }

  // -- what is shown

  /** Say which purposes, and whether what is invisible on the stage, is drawn. */
  set(settings) {
    Object.assign(this.#settings, settings);
    this.applyHidden();
    this.#show();
    this.standing++;
    this.changed();
  }

  get settings() {
    return { ...this.#settings };
  }

  #purposeShown(purpose) {
    return purpose === "default" || this.#settings[purpose] === true;
  }

  #show() {
    const shown = (part) =>
      this.#purposeShown(part.purpose) && (!part.hidden || this.#settings.invisible);
    for (const batch of this.#batches.values()) batch.show(shown, this.root.matrixWorld);
  }

  /** @returns {boolean} whether a part is drawn at all */
  partShown(part) {
    return this.#purposeShown(part.purpose) && (!part.hidden || this.#settings.invisible);
  }

  /**
   * Turn slots off by what the stage and this viewer hide.
   *
   * @param {(batch: Batch, slot: number) => number} stateOf 0 drawn, 1 off, 2 drawn by an overlay
   */
  applyHidden(stateOf = this.stateOf ?? (() => 0)) {
    this.stateOf = stateOf;
    if (this.stage === null) return;
    for (const batch of this.#batches.values()) {
      for (let s = 0; s < batch.count; s++) {
        const placement = this.stage.placements[batch.placement[s]];
        const shown = placement.visible || this.#settings.invisible;
        const off = shown && this.#purposeShown(placement.purpose) ? stateOf(batch, s) : 1;
        if (batch.off[s] === off) continue;
        batch.off[s] = off;
        batch.write(s, this.origin);
      }
      batch.flush();
    }
    this.version++;
    this.standing++;
  }

  /** @returns {import("./model.js").Model|undefined} the model of a GLB's hash */
  model(hash) {
    return this.#models.get(hash);
  }

  dispose() {
    for (const batch of this.#batches.values()) batch.dispose();
    this.#batches.clear();
    this.materials.dispose();
    this.stage = null;
  }
}

/** Stage axes and units to Y up and metres. */
function turnToDrawing(out, up, unit) {
  copyMatrix(out, 0, IDENTITY, 0);
  if (up === "Z") {
    out.set([1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  }
  for (let k = 0; k < 12; k++) out[k] *= unit;
}

