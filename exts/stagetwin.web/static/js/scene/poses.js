import { copyMatrix, matrix, movePoint, multiply } from "./matrices.js";

/** Split `path[3]` into a path and an instance; -1 where it has none. */
export function splitElement(path) {
  const found = /^(.*)\[(\d+)\]$/.exec(path);
  return found === null ? { path, instance: -1 } : { path: found[1], instance: Number(found[2]) };
}

/** Where prims are: matrices to the stage, as drawn now. */
export class Poses {
  #placed = new Map();
  #of = null;

  /** @param {import("./plant.js").Plant} plant */
  constructor(plant) {
    this.plant = plant;
  }

  /**
   * Return the matrix of a prim to the stage, and its parent's.
   *
   * @param {string} element path, or `path[n]` of an instancer's element
   * @returns {{world: Float64Array, parent: Float64Array}|null}
   */
  of(element) {
    const { stage } = this.plant;
    if (stage === null) return null;
    const { path, instance } = splitElement(element);
    const { bodies, nodes, instancers, bodyOf } = stage;
    const world = matrix();
    if (instance >= 0) {
      const instancer = instancers.get(path);
      if (instancer === undefined || instance >= instancer.count) return null;
      copyMatrix(world, 0, bodies.world, 16 * (instancer.first + instance));
      return { world, parent: this.#toStage(instancer.node.body, instancer.node.matrix) };
    }
    const body = path === "/" ? undefined : bodyOf.get(path);
    if (body !== undefined) {
      copyMatrix(world, 0, bodies.world, 16 * body);
      return { world, parent: this.#toStage(bodies.parent[body], bodies.base, 16 * body) };
    }
    const node = nodes.get(path);
    if (node === undefined) return this.#inside(path);
    const { carrier } = node;
    return {
      world: this.#toStage(node.body, node.matrix),
      parent: this.#toStage(carrier.body, carrier.matrix),
    };
  }

  #inside(path) {
    const { placement, inner } = this.placementAbove(path) ?? {};
    const model = placement && this.plant.model(placement.glb);
    const own = model?.nodes.get(inner);
    if (own === undefined) return null;
    const at = (node) => {
      const within = placement.groups[node.group];
      const out = matrix();
      multiply(out, 0, within.matrix, 0, node.matrix, 0);
      return this.#toStage(within.body, out);
    };
    const above = inner.includes("/") ? model.nodes.get(inner.slice(0, inner.lastIndexOf("/"))) : null;
    const parent = above ? at(above) : this.#toStage(placement.groups[0].body, placement.groups[0].matrix);
    return { world: at(own), parent };
  }

  #toStage(body, within, at = 0) {
    const out = matrix();
    if (body === 0) copyMatrix(out, 0, within, at);
    else multiply(out, 0, this.plant.stage.bodies.world, 16 * body, within, at);
    return out;
  }

  /** Return the placement whose model holds a prim, and the prim's path inside, or null. */
  placementAbove(path) {
    const { stage } = this.plant;
    if (this.#of !== stage) {
      this.#of = stage;
      this.#placed.clear();
      for (const placement of stage.placements) {
        if (placement.instance < 0) this.#placed.set(placement.path, placement);
      }
    }
    for (let at = path.length; at > 0; at = path.lastIndexOf("/", at - 1)) {
      const placement = this.#placed.get(path.slice(0, at));
      if (placement !== undefined) return { placement, inner: path.slice(at + 1) };
    }
    return null;
  }
}

/**
 * @typedef {object} Piece what of a slot belongs to some prim
 * @property {import("./batch.js").Batch} batch
 * @property {number} slot
 * @property {Map<object, number[]>|null} ranges positions in `part.ranges` by part; null for all
 */

/**
 * Return what is drawn of a prim and of what lies below it.
 *
 * @param {import("./plant.js").Plant} plant
 * @param {string} element path, or `path[n]`
 * @returns {Piece[]}
 */
export function piecesOf(plant, element) {
  const { stage } = plant;
  if (stage === null) return [];
  const { path, instance } = splitElement(element);
  const below = path === "/" ? "/" : `${path}/`;
  const pieces = [];
  for (const placement of stage.placements) {
    if (instance >= 0) {
      if (placement.path === path && placement.instance === instance) whole(pieces, placement);
    } else if (placement.path === path || placement.path.startsWith(below)) {
      whole(pieces, placement);
    } else if (placement.instance < 0 && path.startsWith(inside(placement.path))) {
      partly(pieces, placement, path.slice(inside(placement.path).length));
    }
  }
  return pieces;
}

function inside(path) {
  return path === "/" ? "/" : `${path}/`;
}

function whole(pieces, placement) {
  for (const { batch, slot } of placement.slots) pieces.push({ batch, slot, ranges: null });
}

function partly(pieces, placement, inner) {
  const below = `${inner}/`;
  for (const { batch, slot } of placement.slots) {
    const ranges = new Map();
    let all = true;
    for (const part of batch.group.parts) {
      const found = [];
      for (let r = 0; r < part.ranges.length; r++) {
        const { path } = part.ranges[r];
        if (path === inner || path.startsWith(below)) found.push(r);
      }
      if (found.length > 0) ranges.set(part, found);
      all &&= found.length === part.ranges.length;
    }
    if (ranges.size > 0) pieces.push({ batch, slot, ranges: all ? null : ranges });
  }
}

/** Visit the parts and ranges of a piece that are drawn now. */
export function eachRange(plant, { batch, ranges }, visit) {
  for (const part of batch.group.parts) {
    if (!plant.partShown(part)) continue;
    const rows = ranges === null ? null : ranges.get(part);
    if (rows === undefined) continue;
    if (rows === null) for (const range of part.ranges) visit(part, range);
    else for (const row of rows) visit(part, part.ranges[row]);
  }
}

/**
 * Return the bounds of pieces in stage space, from every vertex.
 *
 * @returns {[number[], number[]]|null}
 */
export function boundsOf(plant, pieces) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  const point = [0, 0, 0];
  for (const piece of pieces) {
    const { batch, slot } = piece;
    if (batch.off[slot] === 1) continue;
    eachRange(plant, piece, (part, range) => {
      if (range.count > 3000 && cornersInside(low, high, range.bounds, batch.world, slot)) return;
      const { positions, index } = part;
      for (let i = range.start; i < range.start + range.count; i++) {
        const v = 3 * index[i];
        movePoint(point, batch.world, 16 * slot, positions[v], positions[v + 1], positions[v + 2]);
        for (let k = 0; k < 3; k++) {
          if (point[k] < low[k]) low[k] = point[k];
          if (point[k] > high[k]) high[k] = point[k];
        }
      }
    });
  }
  return low[0] <= high[0] ? [low, high] : null;
}

function cornersInside(low, high, bounds, world, slot) {
  const point = [0, 0, 0];
  for (let corner = 0; corner < 8; corner++) {
    const [x, y, z] = [0, 1, 2].map((k) => bounds[(corner >> k) & 1 ? 3 + k : k]);
    movePoint(point, world, 16 * slot, x, y, z);
    for (let k = 0; k < 3; k++) if (point[k] < low[k] || point[k] > high[k]) return false;
  }
  return true;
}
