import { EMISSION_RANGE } from "./looks.js";
import { determinant, invert, matrix, movePoint } from "./matrices.js";

const SHAPES = { 0: "points", 1: "lines", 2: "lines", 3: "lines", 4: "triangles" };

/** Gathers the primitives of a group, then writes them as few arrays. */
export class Merger {
  #entries = [];

  /**
   * Add a primitive.
   *
   * @param {import("./glb.js").Primitive} primitive
   * @param {import("./looks.js").Look} look
   * @param {{matrix: Float64Array, path: string}} place matrix into the group's space, and the prim
   * @param {{purpose: string, hidden: boolean}} node
   */
  add(primitive, look, place, node) {
    const shape = SHAPES[primitive.mode];
    if (shape === undefined) return; // strips and fans: the service makes none
    this.#entries.push({ primitive, look, place, node, shape, index: indexOf(primitive) });
  }

  /** @returns {{centre: Float64Array, radius: number, parts: import("./model.js").Part[]}} */
  merge() {
    const { centre, radius } = this.#sphere();
    const buckets = new Map();
    for (const entry of this.#entries) {
      const { node, look, shape } = entry;
      const key = `${shape} ${node.purpose} ${node.hidden} ${look.key}`;
      const bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, [entry]);
      else bucket.push(entry);
    }
    const parts = [...buckets.values()].map((bucket) => mergeBucket(bucket, centre));
    this.#entries = [];
    return { centre, radius, parts };
  }

  #sphere() {
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const { primitive, place } of this.#entries) {
      eachPoint(primitive.positions, place.matrix, (p) => {
        for (let k = 0; k < 3; k++) {
          if (p[k] < low[k]) low[k] = p[k];
          if (p[k] > high[k]) high[k] = p[k];
        }
      });
    }
    if (!(low[0] <= high[0])) return { centre: new Float64Array(3), radius: 0 };
    const centre = Float64Array.from(low, (l, k) => (l + high[k]) / 2);
    let most = 0;
    for (const { primitive, place } of this.#entries) {
      eachPoint(primitive.positions, place.matrix, (p) => {
        const [x, y, z] = [p[0] - centre[0], p[1] - centre[1], p[2] - centre[2]];
        most = Math.max(most, x * x + y * y + z * z);
      });
    }
    return { centre, radius: Math.sqrt(most) };
  }
}

function eachPoint(positions, place, visit) {
  const point = [0, 0, 0];
  for (let v = 0; v + 2 < positions.length; v += 3) {
    visit(movePoint(point, place, 0, positions[v], positions[v + 1], positions[v + 2]));
  }
}

function indexOf(primitive) {
  const count = primitive.positions.length / 3;
  const plain = primitive.index ?? Uint32Array.from({ length: count }, (_, i) => i);
  if (primitive.mode !== 3 && primitive.mode !== 2) return plain;
  const pairs = [];
  for (let i = 0; i + 1 < plain.length; i++) pairs.push(plain[i], plain[i + 1]);
  if (primitive.mode === 2 && plain.length > 1) pairs.push(plain[plain.length - 1], plain[0]);
  return Uint32Array.from(pairs);
}

function mergeBucket(bucket, centre) {
  bucket.sort((a, b) => (a.place.path < b.place.path ? -1 : a.place.path > b.place.path ? 1 : 0));
  const vertices = bucket.reduce((n, e) => n + e.primitive.positions.length / 3, 0);
  const indices = bucket.reduce((n, e) => n + e.index.length, 0);
  const { look, shape, node } = bucket[0];
  const part = {
    look,
    shape,
    purpose: node.purpose,
    hidden: node.hidden,
    positions: new Float64Array(3 * vertices),
    attributes: {
      normal: new Int16Array(4 * vertices),
      color: new Uint16Array(4 * vertices),
      surface: new Uint8Array(4 * vertices),
      glow: new Uint8Array(4 * vertices),
    },
    index: new Uint32Array(indices),
    ranges: [],
  };
  for (const { channel } of Object.values(look.textures ?? {})) {
    part.attributes[uvName(channel)] ??= new Float32Array(2 * vertices);
  }
  let vertex = 0;
  let at = 0;
  for (const entry of bucket) {
    writeVertices(part, entry, vertex, centre);
    writeIndex(part, entry, vertex, at);
    if (entry.primitive.normals === null && shape === "triangles") {
      flatNormals(part, vertex, at, entry.index.length);
    }
    const range = { path: entry.place.path, start: at, count: entry.index.length };
    addRange(part, range, vertex, entry.primitive.positions.length / 3);
    vertex += entry.primitive.positions.length / 3;
    at += entry.index.length;
  }
  part.positions = Float32Array.from(part.positions);
  return part;
}

function writeVertices(part, { primitive, look, place }, first, centre) {
  const { positions, normals, colours, uvs } = primitive;
  const count = positions.length / 3;
  const point = [0, 0, 0];
  const { normal, color, surface, glow } = part.attributes;
  writeUvs(part, uvs, first, count);
  const turn = normals === null ? null : normalMatrix(place.matrix);
  for (let i = 0; i < count; i++) {
    const v = first + i;
    movePoint(
      point,
      place.matrix,
      0,
      positions[3 * i],
      positions[3 * i + 1],
      positions[3 * i + 2],
    );
    for (let k = 0; k < 3; k++) part.positions[3 * v + k] = point[k] - centre[k];
    if (turn !== null) writeNormal(normal, 4 * v, turn, normals, 3 * i);
    for (let k = 0; k < 4; k++) {
      const c = look.colour[k] * (colours === null ? 1 : colours[4 * i + k]);
      color[4 * v + k] = Math.round(65535 * Math.min(Math.max(c, 0), 1));
    }
    surface[4 * v] = Math.round(255 * Math.min(Math.max(look.roughness, 0.04), 1));
    surface[4 * v + 1] = Math.round(255 * look.metalness);
    for (let k = 0; k < 3; k++) glow[4 * v + k] = Math.round(255 * Math.min(look.emission[k], 1));
    glow[4 * v + 3] = Math.round(255 * Math.min(look.strength / EMISSION_RANGE, 1));
  }
}

/** Name of a set of texture coordinates, as three.js has it. */
export function uvName(channel) {
  return channel === 0 ? "uv" : `uv${channel}`;
}

function writeUvs(part, uvs, first, count) {
  for (let channel = 0; channel < uvs.length; channel++) {
    const out = part.attributes[uvName(channel)];
    if (out !== undefined && uvs[channel] !== null) {
      out.set(uvs[channel].subarray(0, 2 * count), 2 * first);
    }
  }
}

/** The transpose of the inverse: what turns normals under shear and uneven scale. */
function normalMatrix(m) {
  const inverse = matrix();
  invert(inverse, 0, m, 0);
  const out = new Float64Array(9);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) out[3 * row + column] = inverse[4 * column + row];
  }
  return out;
}

function writeNormal(out, at, turn, normals, i) {
  const x = normals[i] * turn[0] + normals[i + 1] * turn[3] + normals[i + 2] * turn[6];
  const y = normals[i] * turn[1] + normals[i + 1] * turn[4] + normals[i + 2] * turn[7];
  const z = normals[i] * turn[2] + normals[i + 1] * turn[5] + normals[i + 2] * turn[8];
  putNormal(out, at, x, y, z);
}

function putNormal(out, at, x, y, z) {
  const scale = 32767 / (Math.hypot(x, y, z) || 1);
  out[at] = Math.round(x * scale);
  out[at + 1] = Math.round(y * scale);
  out[at + 2] = Math.round(z * scale);
}

function writeIndex(part, { index, place, shape }, vertex, at) {
  const turned = shape === "triangles" && determinant(place.matrix) < 0;
  for (let i = 0; i < index.length; i++) part.index[at + i] = vertex + index[i];
  if (!turned) return;
  for (let i = at; i + 2 < at + index.length; i += 3) {
    [part.index[i + 1], part.index[i + 2]] = [part.index[i + 2], part.index[i + 1]];
  }
}

function flatNormals(part, vertex, at, count) {
  const { positions, index } = part;
  for (let i = at; i + 2 < at + count; i += 3) {
    const [a, b, c] = [3 * index[i], 3 * index[i + 1], 3 * index[i + 2]];
    const u = [0, 1, 2].map((k) => positions[b + k] - positions[a + k]);
    const w = [0, 1, 2].map((k) => positions[c + k] - positions[a + k]);
    const n = [u[1] * w[2] - u[2] * w[1], u[2] * w[0] - u[0] * w[2], u[0] * w[1] - u[1] * w[0]];
    for (const v of [a, b, c]) putNormal(part.attributes.normal, (4 * v) / 3, n[0], n[1], n[2]);
  }
}

function addRange(part, range, vertex, count) {
  const bounds = Float64Array.of(Infinity, Infinity, Infinity, -Infinity, -Infinity, -Infinity);
  for (let v = vertex; v < vertex + count; v++) {
    for (let k = 0; k < 3; k++) {
      const x = part.positions[3 * v + k];
      if (x < bounds[k]) bounds[k] = x;
      if (x > bounds[3 + k]) bounds[3 + k] = x;
    }
  }
  const last = part.ranges.at(-1);
  if (last !== undefined && last.path === range.path) {
    last.count += range.count;
    for (let k = 0; k < 3; k++) {
      last.bounds[k] = Math.min(last.bounds[k], bounds[k]);
      last.bounds[3 + k] = Math.max(last.bounds[3 + k], bounds[3 + k]);
    }
    return;
  }
  part.ranges.push({ ...range, bounds });
}
