import * as THREE from "../../vendor/three/three.module.js";
import { Overlay } from "./overlay.js";
import { piecesOf } from "./poses.js";

const DRAWN = 0;
const OFF = 1;
const HOLED = 2;

/**
 * What this viewer hides or looks at alone.
 *
 * A prim inside a model shares its triangles' buffer with the rest of the model, wherever that is
 * placed. Where one of it is hidden, that one placement is drawn by an overlay of what is left.
 */
export class Hiding {
  #hidden = new Set();
  #alone = null;
  #overlays = [];

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {() => void} changed
   */
  constructor(plant, changed) {
    this.plant = plant;
    this.changed = changed;
    this.group = new THREE.Group();
    this.group.matrixAutoUpdate = false;
  }

  get list() {
    return [...this.#hidden];
  }

  hide(path) {
    this.#hidden.add(path);
    this.rebuild();
  }

  /** Show a prim, and what is hidden below it. */
  show(path) {
    for (const other of this.#hidden) {
      if (other === path || other.startsWith(`${path}/`)) this.#hidden.delete(other);
    }
    this.rebuild();
  }

  isolate(paths) {
    this.#alone = paths;
    this.rebuild();
  }

  /** Apply to the scene as it is now. */
  rebuild() {
    for (const overlay of this.#overlays) overlay.dispose();
    this.#overlays.length = 0;
    const states = new Map();
    if (this.#alone !== null) this.#keepAlone(states);
    for (const path of this.#hidden) this.#takeAway(states, path);
    for (const batch of this.plant.batches) batch.holes.clear();
    for (const [batch, slots] of states) {
      for (const [slot, kept] of slots) if (kept !== null) batch.holes.set(slot, kept);
    }
    this.plant.applyHidden((batch, slot) => {
      const kept = states.get(batch)?.get(slot);
      if (kept === undefined) return DRAWN;
      return kept === null ? OFF : HOLED;
    });
    this.#draw(states);
    this.changed();
  }

  // A slot's state: absent, whole; null, nothing of it; else the ranges that are kept, by part.
  #keepAlone(states) {
    for (const batch of this.plant.batches) {
      const slots = new Map();
      for (let slot = 0; slot < batch.count; slot++) slots.set(slot, null);
      states.set(batch, slots);
    }
    for (const path of this.#alone) {
      for (const { batch, slot, ranges } of piecesOf(this.plant, path)) {
        const slots = states.get(batch);
        if (ranges === null) slots.delete(slot);
        else if (slots.has(slot)) slots.set(slot, merged(slots.get(slot), ranges));
      }
    }
  }

  #takeAway(states, path) {
    for (const { batch, slot, ranges } of piecesOf(this.plant, path)) {
      if (!states.has(batch)) states.set(batch, new Map());
      const slots = states.get(batch);
      if (slots.get(slot) === null) continue;
      slots.set(slot, ranges === null ? null : without(slots.get(slot) ?? all(batch), ranges));
    }
  }

  #draw(states) {
    const pieces = [];
    for (const [batch, slots] of states) {
      for (const [slot, kept] of slots) {
        if (kept !== null && kept.size > 0) pieces.push({ batch, slot, ranges: kept });
      }
    }
    if (pieces.length === 0) return;
    const material = (part, batch) => this.plant.materials.of(part, batch.model);
    const overlay = new Overlay(this.plant, pieces, material);
    overlay.follows = true;
    this.group.add(overlay.group);
    this.#overlays.push(overlay);
  }

  update() {
    for (const overlay of this.#overlays) overlay.update();
  }

  dispose() {
    for (const overlay of this.#overlays) overlay.dispose();
    this.#overlays.length = 0;
  }
}

function all(batch) {
  return new Map(batch.group.parts.map((part) => [part, part.ranges.map((_, row) => row)]));
}

function merged(kept, ranges) {
  const out = new Map(kept ?? []);
  for (const [part, rows] of ranges) {
    out.set(part, [...new Set([...(out.get(part) ?? []), ...rows])].sort((a, b) => a - b));
  }
  return out;
}

function without(kept, ranges) {
  const out = new Map();
  for (const [part, rows] of kept) {
    const gone = new Set(ranges.get(part) ?? []);
    const left = rows.filter((row) => !gone.has(row));
    if (left.length > 0) out.set(part, left);
  }
  return out;
}
