import { invert, matrix, movePoint, turnVector, vec } from "./matrices.js";

/**
 * @typedef {object} Hit
 * @property {import("./batch.js").Batch} batch
 * @property {number} slot
 * @property {object} part
 * @property {object} range
 * @property {number} distance along the ray, in lengths of its direction
 * @property {number[]} point in stage space
 * @property {number[]} normal in stage space, towards the viewer
 */

const inverse = matrix();
const start = [0, 0, 0];
const along = [0, 0, 0];

/**
 * Finds the first surface on a ray: exactly, by triangles, in float64.
 *
 * Spheres of slots, then boxes of prims, then triangles: what a click costs does not depend on how
 * much is drawn once.
 */
export class Raycaster {
  /** @param {import("./plant.js").Plant} plant */
  constructor(plant) {
    this.plant = plant;
    /** Cutting planes in stage space: `{normal, point}`; what is on the normal's side is cut away. */
    this.planes = [];
  }

  /**
   * @param {number[]} origin stage space
   * @param {number[]} direction stage space, of unit length
   * @param {number} tolerance how far a line may be from the ray, in radians
   * @returns {Hit|null}
   */
  first(origin, direction, tolerance = 0.004) {
    const best = { distance: Infinity, batch: null };
    for (const batch of this.plant.batches) {
      const parts = batch.group.parts.filter((part) => this.plant.partShown(part));
      if (parts.length === 0) continue;
      for (let slot = 0; slot < batch.count; slot++) {
        if (batch.off[slot] === 1) continue;
        if (!meetsSphere(batch, slot, origin, direction, best.distance)) continue;
        if (!invert(inverse, 0, batch.world, 16 * slot)) continue;
        movePoint(start, inverse, 0, origin[0], origin[1], origin[2]);
        turnVector(along, inverse, 0, direction[0], direction[1], direction[2]);
        for (const part of parts) this.#meetPart(best, batch, slot, part, origin, direction, tolerance);
      }
    }
    if (best.batch === null) return null;
    best.point = vec.add(origin, vec.scale(direction, best.distance));
    best.normal = facing(best, direction);
    return best;
  }

  #meetPart(best, batch, slot, part, origin, direction, tolerance) {
    const bothSides = part.look.doubleSided || this.planes.length > 0;
    const kept = batch.off[slot] === 2 ? batch.holes.get(slot)?.get(part) : null;
    if (kept === undefined) return;
    for (const range of kept === null ? part.ranges : kept.map((row) => part.ranges[row])) {
      if (part.shape !== "triangles") {
        this.#meetLines(best, batch, slot, part, range, tolerance, origin, direction);
        continue;
      }
      if (!meetsBox(range.bounds, best.distance)) continue;
      const { positions, index } = part;
      const end = range.start + range.count;
      for (let i = range.start; i + 2 < end; i += 3) {
        const t = meetsTriangle(
          positions,
          3 * index[i],
          3 * index[i + 1],
          3 * index[i + 2],
          bothSides,
        );
        if (t > 0 && t < best.distance && !this.#cut(origin, direction, t)) {
          keep(best, t, batch, slot, part, range);
          best.triangle = i;
        }
      }
    }
  }

  #meetLines(best, batch, slot, part, range, tolerance, origin, direction) {
    const { positions, index, shape } = part;
    const step = shape === "lines" ? 2 : 1;
    const end = range.start + range.count;
    const length = vec.length(along);
    for (let i = range.start; i + step - 1 < end; i += step) {
      const a = 3 * index[i];
      const b = 3 * index[i + step - 1];
      const t = nearSegment(positions, a, b, tolerance * length);
      if (t > 0 && t < best.distance && !this.#cut(origin, direction, t)) {
        keep(best, t, batch, slot, part, range);
        best.triangle = -1;
      }
    }
  }

  #cut(origin, direction, t) {
    for (const { normal, point } of this.planes) {
      let side = 0;
      for (let k = 0; k < 3; k++) side += (origin[k] + t * direction[k] - point[k]) * normal[k];
      if (side > 0) return true;
    }
    return false;
  }
}

function keep(best, t, batch, slot, part, range) {
  best.distance = t;
  best.batch = batch;
  best.slot = slot;
  best.part = part;
  best.range = range;
}

function meetsSphere(batch, slot, origin, direction, limit) {
  const at = 16 * slot + 12;
  const x = batch.world[at] - origin[0];
  const y = batch.world[at + 1] - origin[1];
  const z = batch.world[at + 2] - origin[2];
  const radius = batch.radius(slot) * 1.001 + 1e-9;
  const near = x * direction[0] + y * direction[1] + z * direction[2];
  const apart = x * x + y * y + z * z - near * near;
  return apart <= radius * radius && near + radius > 0 && near - radius < limit;
}

function meetsBox(bounds, limit) {
  let low = 0;
  let high = limit;
  for (let k = 0; k < 3; k++) {
    const r = 1 / along[k];
    let a = (bounds[k] - start[k]) * r;
    let b = (bounds[3 + k] - start[k]) * r;
    if (a > b) [a, b] = [b, a];
    // A ray within a slab that it runs along gives NaN, which must not exclude.
    if (a > low) low = a;
    if (b < high) high = b;
    if (low > high * (1 + 1e-12) + 1e-12) return false;
  }
  return true;
}

/** Moeller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997. */
function meetsTriangle(p, a, b, c, bothSides) {
  const e1x = p[b] - p[a];
  const e1y = p[b + 1] - p[a + 1];
  const e1z = p[b + 2] - p[a + 2];
  const e2x = p[c] - p[a];
  const e2y = p[c + 1] - p[a + 1];
  const e2z = p[c + 2] - p[a + 2];
  const hx = along[1] * e2z - along[2] * e2y;
  const hy = along[2] * e2x - along[0] * e2z;
  const hz = along[0] * e2y - along[1] * e2x;
  const det = e1x * hx + e1y * hy + e1z * hz;
  if (det === 0 || (det < 0 && !bothSides)) return -1;
  const sx = start[0] - p[a];
  const sy = start[1] - p[a + 1];
  const sz = start[2] - p[a + 2];
  const u = (sx * hx + sy * hy + sz * hz) / det;
  if (u < 0 || u > 1) return -1;
  const qx = sy * e1z - sz * e1y;
  const qy = sz * e1x - sx * e1z;
  const qz = sx * e1y - sy * e1x;
  const v = (along[0] * qx + along[1] * qy + along[2] * qz) / det;
  if (v < 0 || u + v > 1) return -1;
  return (e2x * qx + e2y * qy + e2z * qz) / det;
}

function nearSegment(p, a, b, tolerance) {
  const u = along;
  const v = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
  const w = [start[0] - p[a], start[1] - p[a + 1], start[2] - p[a + 2]];
  const uu = vec.dot(u, u);
  const uv = vec.dot(u, v);
  const vv = vec.dot(v, v);
  const uw = vec.dot(u, w);
  const vw = vec.dot(v, w);
  const det = uu * vv - uv * uv;
  let s = det > 0 ? (uu * vw - uv * uw) / det : 0;
  s = Math.min(Math.max(s, 0), 1);
  const t = (s * uv - uw) / uu;
  const gap = vec.sub(vec.add(w, vec.scale(u, t)), vec.scale(v, s));
  return vec.length(gap) <= tolerance * Math.abs(t) ? t : -1;
}

function facing({ batch, slot, part, triangle }, direction) {
  if (triangle < 0) return vec.scale(direction, -1);
  const at = [0, 1, 2].map((k) => {
    const v = 3 * part.index[triangle + k];
    const { positions } = part;
    const out = [0, 0, 0];
    return movePoint(out, batch.world, 16 * slot, positions[v], positions[v + 1], positions[v + 2]);
  });
  const normal = vec.unit(vec.cross(vec.sub(at[1], at[0]), vec.sub(at[2], at[0])));
  return vec.dot(normal, direction) > 0 ? vec.scale(normal, -1) : normal;
}
