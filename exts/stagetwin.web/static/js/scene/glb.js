/**
 * GLB files as the service makes them, read into plain arrays.
 *
 * A model is merged before it is drawn (model.js), so no object of three.js is made for each of its
 * nodes, and images are decoded straight from the file's bytes: a strict content security policy
 * needs no exception for them.
 */

import { compose, IDENTITY, matrix } from "./matrices.js";

const MAGIC = 0x46546c67;
const JSON_CHUNK = 0x4e4f534a;
const BIN_CHUNK = 0x004e4942;
const COMPONENTS = new Map([
  [5120, Int8Array],
  [5121, Uint8Array],
  [5122, Int16Array],
  [5123, Uint16Array],
  [5125, Uint32Array],
  [5126, Float32Array],
]);
const UV_SETS = ["TEXCOORD_0", "TEXCOORD_1", "TEXCOORD_2", "TEXCOORD_3"];
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 };

/** A file that is no GLB that this viewer reads. */
export class GlbError extends Error {
  constructor(message) {
    super(message);
    this.name = "GlbError";
  }
}

/**
 * @typedef {object} Primitive
 * @property {number} mode 4 triangles, 1 and 3 lines, 0 points
 * @property {Float32Array} positions
 * @property {Float32Array|null} normals
 * @property {(Float32Array|null)[]} uvs by set
 * @property {Float32Array|null} colours RGBA, linear
 * @property {Uint32Array|null} index
 * @property {number} material position in `materials`, or -1
 */

/**
 * @typedef {object} GlbNode
 * @property {string|null} path relative to the model root; null where the file does not say
 * @property {number} parent position in `nodes`, or -1
 * @property {Float64Array} matrix local
 * @property {string} purpose
 * @property {boolean} hidden
 * @property {Primitive[]} primitives
 */

/**
 * Read a GLB.
 *
 * @param {ArrayBuffer} buffer
 * @returns {{nodes: GlbNode[], materials: object[], textures: {bytes: Uint8Array, mime: string,
 *   sampler: object}[]}} nodes, parents first
 * @throws {GlbError}
 */
export function readGlb(buffer) {
  const { page, bin } = chunks(buffer);
  const accessors = new Accessors(page, bin);
  const meshes = (page.meshes ?? []).map((mesh) =>
    mesh.primitives.map((primitive) => readPrimitive(primitive, accessors)),
  );
  return {
    nodes: readNodes(page, meshes),
    materials: page.materials ?? [],
    textures: readTextures(page, bin),
  };
}

function chunks(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 20 || view.getUint32(0, true) !== MAGIC) {
    throw new GlbError("the file is no GLB");
  }
  if (view.getUint32(4, true) !== 2) throw new GlbError("the file is no GLB of version 2");
  let page = null;
  let bin = new Uint8Array(0);
  const end = Math.min(view.getUint32(8, true), buffer.byteLength);
  for (let at = 12; at + 8 <= end; ) {
    const size = view.getUint32(at, true);
    const kind = view.getUint32(at + 4, true);
    if (at + 8 + size > end) throw new GlbError("the file ends within a chunk");
    const bytes = new Uint8Array(buffer, at + 8, size);
    if (kind === JSON_CHUNK) page = JSON.parse(new TextDecoder().decode(bytes));
    else if (kind === BIN_CHUNK) bin = bytes;
    at += 8 + size + ((4 - (size % 4)) % 4);
  }
  if (page === null) throw new GlbError("the file holds no JSON");
  return { page, bin };
}

class Accessors {
  #page;
  #bin;
  #read = new Map();

  constructor(page, bin) {
    this.#page = page;
    this.#bin = bin;
  }

  /** Numbers of an accessor, tightly packed; normalised integers as floats. */
  get(i) {
    let out = this.#read.get(i);
    if (out === undefined) this.#read.set(i, (out = this.#load(i)));
    return out;
  }

  #load(i) {
    const accessor = this.#page.accessors?.[i];
    if (accessor === undefined) throw new GlbError(`there is no accessor ${i}`);
    const Type = COMPONENTS.get(accessor.componentType);
    const width = WIDTHS[accessor.type];
    if (Type === undefined || width === undefined || accessor.sparse !== undefined) {
      throw new GlbError(`accessor ${i} is of a kind that is not read`);
    }
    const count = accessor.count * width;
    if (accessor.bufferView === undefined) return new Type(count);
    const view = this.#page.bufferViews[accessor.bufferView];
    const at = (view.byteOffset ?? 0) + (accessor.byteOffset ?? 0);
    const stride = view.byteStride ?? 0;
    const size = Type.BYTES_PER_ELEMENT;
    const step = stride === 0 ? width * size : stride;
    if (at + step * (accessor.count - 1) + width * size > this.#bin.byteLength) {
      throw new GlbError(`accessor ${i} goes beyond the file's end`);
    }
    let numbers;
    if (step === width * size) {
      const from = this.#bin.byteOffset + at;
      // A view where the bytes lie well, else a copy.
      numbers =
        from % size === 0
          ? new Type(this.#bin.buffer, from, count)
          : new Type(this.#bin.slice(at, at + count * size).buffer);
    } else numbers = this.#gather(Type, at, step, width, accessor.count);
    return accessor.normalized ? normalised(numbers) : numbers;
  }

  #gather(Type, at, step, width, count) {
    const out = new Type(count * width);
    const size = Type.BYTES_PER_ELEMENT * width;
    const bytes = new Uint8Array(out.buffer);
    for (let k = 0; k < count; k++) {
      bytes.set(this.#bin.subarray(at + k * step, at + k * step + size), k * size);
    }
    return out;
  }
}

function normalised(numbers) {
  const most = { Int8Array: 127, Uint8Array: 255, Int16Array: 32767, Uint16Array: 65535 };
  const scale = most[numbers.constructor.name];
  return Float32Array.from(numbers, (n) => Math.max(n / scale, -1));
}

function readPrimitive(primitive, accessors) {
  const { POSITION, NORMAL, COLOR_0 } = primitive.attributes;
  if (POSITION === undefined) throw new GlbError("a primitive has no positions");
  const numbers = (i) => (i === undefined ? null : accessors.get(i));
  const positions = Float32Array.from(accessors.get(POSITION));
  return {
    mode: primitive.mode ?? 4,
    positions,
    normals: numbers(NORMAL),
    uvs: UV_SETS.map((name) => numbers(primitive.attributes[name])),
    colours: withAlpha(numbers(COLOR_0), positions.length / 3),
    index: primitive.indices === undefined ? null : Uint32Array.from(accessors.get(primitive.indices)),
    material: primitive.material ?? -1,
  };
}

function withAlpha(colours, count) {
  if (colours === null || colours.length === 4 * count) return colours;
  const out = new Float32Array(4 * count).fill(1);
  for (let v = 0; v < count; v++) for (let k = 0; k < 3; k++) out[4 * v + k] = colours[3 * v + k];
  return out;
}

function readNodes(page, meshes) {
  const out = [];
  const visit = (i, parent, hidden, purpose, seen) => {
    if (seen.has(i)) throw new GlbError(`node ${i} is its own ancestor`);
    const node = page.nodes[i];
    const extras = node.extras ?? {};
    const entry = {
      path: typeof extras.usdPath === "string" ? extras.usdPath : null,
      parent,
      matrix: localMatrix(node),
      purpose: extras.purpose || purpose,
      hidden: hidden || extras.hidden === true,
      primitives: node.mesh === undefined ? [] : meshes[node.mesh],
    };
    const at = out.push(entry) - 1;
    const inner = new Set(seen).add(i);
    for (const child of node.children ?? []) {
      visit(child, at, entry.hidden, entry.purpose, inner);
    }
  };
  const scene = page.scenes?.[page.scene ?? 0];
  for (const root of scene?.nodes ?? []) visit(root, -1, false, "default", new Set());
  return out;
}

function localMatrix(node) {
  if (node.matrix !== undefined) return matrix(node.matrix);
  const out = matrix(IDENTITY);
  const { translation = [0, 0, 0], rotation = [0, 0, 0, 1], scale = [1, 1, 1] } = node;
  compose(out, 0, translation, 0, rotation, 0, scale, 0);
  return out;
}

function readTextures(page, bin) {
  return (page.textures ?? []).map((texture) => {
    const image = page.images?.[texture.source];
    const view = page.bufferViews?.[image?.bufferView];
    if (view === undefined) throw new GlbError("an image lies outside of the file");
    const at = view.byteOffset ?? 0;
    return {
      bytes: bin.subarray(at, at + view.byteLength),
      mime: image.mimeType ?? "image/png",
      sampler: page.samplers?.[texture.sampler] ?? {},
    };
  });
}
