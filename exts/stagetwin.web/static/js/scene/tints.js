import * as THREE from "../../vendor/three/three.module.js";
import { Overlay } from "./overlay.js";
import { piecesOf } from "./poses.js";

/** Prims under a colour, for alarms: marks on whole models, overlays on prims inside them. */
export class Tints {
  #tints = new Map();
  #overlays = [];

  /** @param {import("./plant.js").Plant} plant */
  constructor(plant) {
    this.plant = plant;
    this.group = new THREE.Group();
    this.group.matrixAutoUpdate = false;
  }

  /**
   * Tint a prim.
   *
   * @param {string} path
   * @param {string|null} colour as in CSS; null withdraws
   * @param {number} strength 0 to 1
   */
  set(path, colour, strength) {
    const before = this.#tints.get(path);
    if (colour === null) {
      if (!this.#tints.delete(path)) return false;
    } else if (before?.colour === colour && before.strength === strength) return false;
    else this.#tints.set(path, { colour, strength });
    this.rebuild();
    return true;
  }

  clear() {
    if (this.#tints.size === 0) return;
    this.#tints.clear();
    this.rebuild();
  }

  /** Mark what the tints say, on the scene as it is now. */
  rebuild() {
    for (const { overlay, material } of this.#overlays) {
      overlay.dispose();
      material.dispose();
    }
    this.#overlays.length = 0;
    for (const batch of this.plant.batches) {
      batch.marks.array.fill(0);
      batch.marks.needsUpdate = true;
    }
    for (const [path, { colour, strength }] of this.#tints) this.#apply(path, colour, strength);
  }

  #apply(path, colour, strength) {
    const { r, g, b } = new THREE.Color(colour);
    const inner = [];
    for (const piece of piecesOf(this.plant, path)) {
      if (piece.ranges !== null) inner.push(piece);
      else piece.batch.mark(piece.slot, r * 255, g * 255, b * 255, strength * 255);
    }
    if (inner.length === 0) return;
    const material = new THREE.MeshBasicMaterial({
      color: colour,
      transparent: true,
      opacity: strength,
      depthWrite: false,
      polygonOffset: true,
      polygonOffsetFactor: -2,
      polygonOffsetUnits: -2,
    });
    material.clippingPlanes = this.planes ?? [];
    const overlay = new Overlay(this.plant, inner, () => material);
    overlay.follows = true;
    this.group.add(overlay.group);
    this.#overlays.push({ overlay, material });
  }

  /** @param {THREE.Plane[]} planes */
  cut(planes) {
    this.planes = planes;
    for (const { material } of this.#overlays) {
      material.clippingPlanes = planes;
      material.needsUpdate = true;
    }
  }

  update() {
    for (const { overlay } of this.#overlays) overlay.update();
  }

  dispose() {
    this.#tints.clear();
    this.rebuild();
  }
}
