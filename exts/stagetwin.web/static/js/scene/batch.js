import * as THREE from "../../vendor/three/three.module.js";
import { copyMatrix, largestScale, multiply } from "./matrices.js";

export const UV_NAMES = ["uv", "uv1", "uv2", "uv3"];
const IDENTITY = new THREE.Matrix4();

/**
 * One group of a model, wherever it is placed: a slot each. One draw call a part.
 *
 * All parts share the instances' matrices and marks. World matrices are kept in float64 in stage
 * space; the graphics card gets them as float32 relative to an origin near the camera.
 */
export class Batch {
  /**
   * @param {string} key
   * @param {import("./model.js").Model} model
   * @param {import("./model.js").Group} group
   * @param {number} capacity slots
   */
  constructor(key, model, group, capacity) {
    this.key = key;
    this.model = model;
    this.group = group;
    this.capacity = capacity;
    this.count = 0;
    this.body = new Int32Array(capacity);
    this.placement = new Int32Array(capacity);
    this.local = new Float64Array(16 * capacity);
    this.world = new Float64Array(16 * capacity);
    /** 0 drawn, 1 off, 2 drawn by an overlay of the ranges in `holes`. */
    this.off = new Uint8Array(capacity);
    this.holes = new Map();
    this.matrices = new THREE.InstancedBufferAttribute(new Float32Array(16 * capacity), 16);
    this.marks = new THREE.InstancedBufferAttribute(new Uint8Array(4 * capacity), 4, true);
    this.states = new THREE.InstancedBufferAttribute(new Uint8Array(4 * capacity), 4, true);
    for (const attribute of [this.matrices, this.marks, this.states]) {
      attribute.setUsage(THREE.DynamicDrawUsage);
    }
    /** @type {THREE.InstancedMesh[]} one a part */
    this.meshes = [];
    this.triangles = 0;
    this.low = Infinity;
    this.high = -1;
  }

  /** Make what draws the parts, into a parent. */
  build(materials, parent) {
    for (const part of this.group.parts) {
      const material = materials.of(part, this.model);
      const mesh = new THREE.InstancedMesh(this.#geometry(part), material, 0);
      mesh.instanceMatrix = this.matrices;
      mesh.frustumCulled = false;
      mesh.matrixAutoUpdate = false;
      mesh.matrixWorldAutoUpdate = false;
      mesh.raycast = () => {};
      mesh.userData.part = part;
      const solid = part.shape === "triangles";
      mesh.castShadow = solid && !part.look.blend;
      mesh.receiveShadow = solid;
      if (!solid) asPlain(mesh, part.shape);
      this.meshes.push(mesh);
      parent.add(mesh);
      if (solid) this.triangles += part.index.length / 3;
    }
  }

  #geometry(part) {
    const geometry = new THREE.BufferGeometry();
    const { normal, color, surface, glow } = part.attributes;
    geometry.setAttribute("position", new THREE.BufferAttribute(part.positions, 3));
    geometry.setAttribute("normal", new THREE.BufferAttribute(normal, 4, true));
    geometry.setAttribute("color", new THREE.BufferAttribute(color, 4, true));
    geometry.setAttribute("surface", new THREE.BufferAttribute(surface, 4, true));
    geometry.setAttribute("glow", new THREE.BufferAttribute(glow, 4, true));
    for (const name of UV_NAMES) {
      const uv = part.attributes[name];
      if (uv !== undefined) geometry.setAttribute(name, new THREE.BufferAttribute(uv, 2));
    }
    geometry.setAttribute("mark", this.marks);
    geometry.setAttribute("state", this.states);
    const short = part.positions.length / 3 < 65536;
    const index = short ? Uint16Array.from(part.index) : part.index;
    geometry.setIndex(new THREE.BufferAttribute(index, 1));
    geometry.boundingSphere = new THREE.Sphere(new THREE.Vector3(), Infinity);
    return geometry;
  }

  /** Forget all slots, to be filled again. */
  empty() {
    this.count = 0;
    this.off.fill(0);
    this.holes.clear();
    this.marks.array.fill(0);
    this.states.array.fill(0);
    this.marks.needsUpdate = true;
    this.states.needsUpdate = true;
  }

  /** Add a slot. @returns {number} its row */
  add(body, placement, local) {
    const slot = this.count++;
    this.body[slot] = body;
    this.placement[slot] = placement;
    copyMatrix(this.local, 16 * slot, local, 0);
    return slot;
  }

  /** Put a slot where its body is. */
  place(slot, bodies, origin) {
    const body = this.body[slot];
    const at = 16 * slot;
    if (body === 0) copyMatrix(this.world, at, this.local, at);
    else multiply(this.world, at, bodies.world, 16 * body, this.local, at);
    this.write(slot, origin);
  }

  /** Write a slot's matrix for the graphics card; one that is off has no extent. */
  write(slot, origin) {
    const at = 16 * slot;
    const out = this.matrices.array;
    if (this.off[slot] !== 0) {
      out.fill(0, at, at + 16);
    } else {
      const { world } = this;
      out[at] = world[at];
      out[at + 1] = world[at + 1];
      out[at + 2] = world[at + 2];
      out[at + 3] = 0;
      out[at + 4] = world[at + 4];
      out[at + 5] = world[at + 5];
      out[at + 6] = world[at + 6];
      out[at + 7] = 0;
      out[at + 8] = world[at + 8];
      out[at + 9] = world[at + 9];
      out[at + 10] = world[at + 10];
      out[at + 11] = 0;
      out[at + 12] = world[at + 12] - origin[0];
      out[at + 13] = world[at + 13] - origin[1];
      out[at + 14] = world[at + 14] - origin[2];
      out[at + 15] = 1;
    }
    if (slot < this.low) this.low = slot;
    if (slot > this.high) this.high = slot;
  }

  /** Write all slots relative to a new origin. */
  rebase(origin) {
    for (let slot = 0; slot < this.count; slot++) this.write(slot, origin);
  }

  /** Send what was written to the graphics card. */
  flush() {
    if (this.high < 0) return;
    this.matrices.clearUpdateRanges();
    const span = this.high - this.low + 1;
    if (span < this.count / 2) this.matrices.addUpdateRange(16 * this.low, 16 * span);
    this.matrices.needsUpdate = true;
    this.low = Infinity;
    this.high = -1;
  }

  /** Radius of a slot [stage units]. */
  radius(slot) {
    return this.group.radius * largestScale(this.world, 16 * slot);
  }

  /** Mark a slot: colour as 0 to 255, strength 0 to 255. */
  mark(slot, r, g, b, strength) {
    const { array } = this.marks;
    const at = 4 * slot;
    array[at] = r;
    array[at + 1] = g;
    array[at + 2] = b;
    array[at + 3] = strength;
    this.marks.needsUpdate = true;
  }

  /** Grey a slot out, or not; 0 to 255. */
  grey(slot, amount) {
    const { array } = this.states;
    if (array[4 * slot] === amount) return false;
    array[4 * slot] = amount;
    this.states.needsUpdate = true;
    return true;
  }

  /** Say which parts are drawn. */
  show(shown, matrixWorld) {
    for (const mesh of this.meshes) {
      mesh.count = this.count;
      mesh.visible = this.count > 0 && shown(mesh.userData.part);
      mesh.matrixWorld = matrixWorld ?? IDENTITY;
    }
  }

  dispose() {
    for (const mesh of this.meshes) {
      mesh.removeFromParent();
      mesh.geometry.dispose();
      mesh.dispose();
    }
    this.meshes.length = 0;
  }
}

/** Let instances be drawn as lines or points: the renderer looks at these marks of an object. */
function asPlain(mesh, shape) {
  mesh.isMesh = false;
  if (shape === "lines") {
    mesh.isLine = true;
    mesh.isLineSegments = true;
  } else mesh.isPoints = true;
}
