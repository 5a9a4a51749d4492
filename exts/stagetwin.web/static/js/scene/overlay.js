import * as THREE from "../../vendor/three/three.module.js";
import { UV_NAMES } from "./batch.js";
import { multiply } from "./matrices.js";

const product = new Float64Array(16);

/** Copy some prims' triangles out of a part, as a geometry of its own. */
function extract(part, rows) {
  const used = new Map();
  const index = [];
  for (const row of rows) {
    const { start, count } = part.ranges[row];
    for (let i = start; i < start + count; i++) {
      const v = part.index[i];
      let to = used.get(v);
      if (to === undefined) used.set(v, (to = used.size));
      index.push(to);
    }
  }
  const geometry = new THREE.BufferGeometry();
  const take = (name, array, width, scaled) => {
    const out = new array.constructor(used.size * width);
    for (const [from, to] of used) {
      for (let k = 0; k < width; k++) out[to * width + k] = array[from * width + k];
    }
    geometry.setAttribute(name, new THREE.BufferAttribute(out, width, scaled));
  };
  const { normal, color, surface, glow } = part.attributes;
  take("position", part.positions, 3, false);
  take("normal", normal, 4, true);
  take("color", color, 4, true);
  take("surface", surface, 4, true);
  take("glow", glow, 4, true);
  for (const name of UV_NAMES) {
    if (part.attributes[name] !== undefined) take(name, part.attributes[name], 2, false);
  }
  for (const name of ["mark", "state"]) {
    geometry.setAttribute(name, new THREE.InstancedBufferAttribute(new Uint8Array(4), 4, true));
  }
  geometry.setIndex(index);
  geometry.boundingSphere = new THREE.Sphere(new THREE.Vector3(), Infinity);
  return geometry;
}

/**
 * Draws pieces of the plant once more, with another material: outlines, tints, ghosts.
 *
 * As many draw calls as parts are concerned, not as prims.
 */
export class Overlay {
  #entries = [];

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {import("./poses.js").Piece[]} pieces
   * @param {(part: object, batch: object) => THREE.Material} materialOf
   * @param {{lines?: boolean, everything?: boolean}} [options] `everything`: also parts not drawn now
   */
  constructor(plant, pieces, materialOf, { everything = false } = {}) {
    this.plant = plant;
    this.group = new THREE.Group();
    this.group.matrixAutoUpdate = false;
    this.version = -1;
    const wholes = new Map();
    for (const piece of pieces) {
      if (piece.ranges === null) {
        const slots = wholes.get(piece.batch);
        if (slots === undefined) wholes.set(piece.batch, [piece.slot]);
        else slots.push(piece.slot);
        continue;
      }
      for (const [part, rows] of piece.ranges) {
        if (part.shape !== "triangles" || (!everything && !plant.partShown(part))) continue;
        const material = materialOf(part, piece.batch);
        this.#add(extract(part, rows), material, piece.batch, [piece.slot], true);
      }
    }
    for (const [batch, slots] of wholes) {
      for (const mesh of batch.meshes) {
        const { part } = mesh.userData;
        if (part.shape !== "triangles" || (!everything && !plant.partShown(part))) continue;
        this.#add(mesh.geometry, materialOf(part, batch), batch, slots, false);
      }
    }
  }

  #add(geometry, material, batch, slots, own) {
    const mesh = new THREE.InstancedMesh(geometry, material, slots.length);
    mesh.frustumCulled = false;
    mesh.matrixAutoUpdate = false;
    mesh.matrixWorldAutoUpdate = false;
    mesh.matrixWorld = this.plant.root.matrixWorld;
    this.#entries.push({ mesh, batch, slots, own });
    this.group.add(mesh);
  }

  get meshes() {
    return this.#entries.map(({ mesh }) => mesh);
  }

  get empty() {
    return this.#entries.length === 0;
  }

  /**
   * Put everything where its slot is now.
   *
   * @param {Float64Array|null} moved matrix in stage space that is applied after the slot's
   */
  update(moved = null) {
    if (this.version === this.plant.version && moved === null) return;
    this.version = this.plant.version;
    const { origin } = this.plant;
    for (const { mesh, batch, slots } of this.#entries) {
      const out = mesh.instanceMatrix.array;
      for (let i = 0; i < slots.length; i++) {
        let from = batch.world;
        let at = 16 * slots[i];
        if (moved !== null) {
          multiply(product, 0, moved, 0, batch.world, at);
          from = product;
          at = 0;
        }
        for (let k = 0; k < 16; k++) out[16 * i + k] = from[at + k];
        for (let k = 0; k < 3; k++) out[16 * i + 12 + k] = from[at + 12 + k] - origin[k];
        // An overlay that only ornaments goes where its slot is hidden to.
        if (batch.off[slots[i]] === 1 && this.follows) out.fill(0, 16 * i, 16 * i + 16);
      }
      mesh.instanceMatrix.needsUpdate = true;
    }
  }

  dispose() {
    this.group.removeFromParent();
    for (const { mesh, own } of this.#entries) {
      if (own) mesh.geometry.dispose();
      mesh.dispose();
    }
    this.#entries.length = 0;
  }
}
