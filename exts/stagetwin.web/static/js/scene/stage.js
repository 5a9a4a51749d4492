/**
 * A manifest, turned into what is drawn: bodies that move, and placements of models.
 *
 * In two steps, for a node may hang from a prim inside a model: first which models are needed and what
 * moves inside them, then, with the models here, where everything is.
 */

import { Bodies } from "./bodies.js";
import { copyMatrix, matrix, multiply } from "./matrices.js";

/**
 * @typedef {object} Placement
 * @property {string} path of the model root, or of the instancer
 * @property {number} instance position in an instancer, or -1
 * @property {string} glb hash
 * @property {{body: number, matrix: Float64Array}[]} groups of the model: the body of each, and the
 *   matrix from the group's node to it
 * @property {boolean} visible
 * @property {string} purpose
 * @property {{batch: object, slot: number}[]} slots
 */

/** What a manifest says, in columns and maps. */
export class Stage {
  constructor(manifest) {
    this.manifest = manifest;
    this.epoch = manifest.epoch;
    this.up = manifest.stage?.up ?? "Z";
    this.unit = manifest.stage?.metersPerUnit ?? 1;
    this.bodies = new Bodies();
    /** @type {Placement[]} */
    this.placements = [];
    /** Nodes of the manifest by path. */
    this.nodes = new Map();
    /** Rows of bodies by path of the prim. */
    this.bodyOf = new Map([["/", 0]]);
    this.instancers = new Map();
    this.#movers = new Map((manifest.movers ?? []).map(({ path, matrix: now }) => [path, now]));
    this.#inner = this.#innerMovers(manifest);
  }

  #movers;
  #inner;

  // A mover that is no node of the manifest lies inside the GLB of the nearest node above it.
  #innerMovers(manifest) {
    const nodes = new Map((manifest.nodes ?? []).map((node) => [node.path, node]));
    const inner = new Map();
    for (const path of this.#movers.keys()) {
      if (nodes.has(path)) continue;
      for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
        const { glb } = nodes.get(path.slice(0, at)) ?? {};
        if (!glb) continue;
        if (!inner.has(glb)) inner.set(glb, new Set());
        inner.get(glb).add(path.slice(at + 1));
        break;
      }
    }
    return inner;
  }

  /**
   * Return the hashes of GLBs, each with every path inside that moves in any of its placements.
   *
   * @returns {Map<string, string[]>}
   */
  models() {
    const hashes = new Set();
    for (const { glb } of this.manifest.nodes ?? []) if (glb) hashes.add(glb);
    for (const { prototypes } of this.manifest.instancers ?? []) {
      for (const pieces of prototypes) for (const { glb } of pieces) hashes.add(glb);
    }
    return new Map([...hashes].map((glb) => [glb, [...(this.#inner.get(glb) ?? [])].sort()]));
  }

  /**
   * Find where everything is.
   *
   * @param {Map<string, import("./model.js").Model>} models by hash
   */
  build(models) {
    const list = [];
    for (const node of this.manifest.nodes ?? []) list.push(this.#addNode(node, list, models));
    for (const instancer of this.manifest.instancers ?? []) {
      this.#addInstancer(instancer, list[instancer.node], models);
    }
  }

  #addNode(node, list, models) {
    const parent = node.parent >= 0 ? list[node.parent] : null;
    const from = anchorOf(parent, node.under, models);
    const entry = {
      path: node.path,
      body: from.body,
      matrix: matrix(),
      visible: (parent?.visible ?? true) && node.visible !== false,
      purpose: nearest(node.purpose, parent?.purpose),
      carrier: from,
      placement: null,
    };
    const moves = this.#movers.get(node.path);
    if (moves !== undefined) {
      entry.body = this.bodies.add(from.body, from.matrix, moves, node.path);
      this.bodyOf.set(node.path, entry.body);
    } else multiply(entry.matrix, 0, from.matrix, 0, node.matrix, 0);
    this.nodes.set(node.path, entry);
    if (node.glb) {
      entry.placement = this.#place(node.path, -1, node.glb, entry, entry.matrix, models);
    }
    return entry;
  }

  #place(path, instance, glb, { body, visible, purpose }, within, models) {
    const placement = { path, instance, glb, groups: [], visible, purpose, slots: [] };
    const model = models.get(glb);
    for (const group of model?.groups ?? []) {
      if (group.parent < 0) placement.groups.push({ body, matrix: within });
      else placement.groups.push(this.#moverInside(placement, group));
    }
    this.placements.push(placement);
    return placement;
  }

  /** Add the body of what moves inside a model. */
  #moverInside(placement, group) {
    const above = placement.groups[group.parent];
    const base = matrix();
    multiply(base, 0, above.matrix, 0, group.base, 0);
    const path = `${placement.path}/${group.path}`;
    const local = (placement.instance < 0 ? this.#movers.get(path) : undefined) ?? group.local;
    const body = this.bodies.add(above.body, base, local, path);
    if (placement.instance < 0) this.bodyOf.set(path, body);
    return { body, matrix: matrix() };
  }

  #addInstancer(instancer, node, models) {
    if (node === undefined) return;
    const { indices, positions, orientations, scales, prototypes } = instancer;
    const hidden = new Set(instancer.hidden ?? []);
    const count = Math.min(indices.length, positions.length / 3);
    const turned = orientations?.length >= 4 * count;
    const scaled = scales?.length >= 3 * count;
    const first = this.bodies.count;
    // All elements first, in a row: a frame names them by their position.
    for (let n = 0; n < count; n++) {
      const path = `${instancer.path}[${n}]`;
      const row = this.bodies.add(node.body, node.matrix, matrix(), path);
      this.bodies.setPose(
        row,
        positions,
        3 * n,
        turned ? orientations : UPRIGHT,
        turned ? 4 * n : 0,
        scaled ? scales : ONES,
        scaled ? 3 * n : 0,
      );
    }
    for (let n = 0; n < count; n++) {
      const own = { body: first + n, visible: node.visible && !hidden.has(n), purpose: node.purpose };
      for (const { glb, matrix: within } of prototypes[indices[n]] ?? []) {
        this.#place(instancer.path, n, glb, own, matrix(within), models);
      }
    }
    this.instancers.set(instancer.path, { first, count, node });
  }
}

const UPRIGHT = [0, 0, 0, 1];
const ONES = [1, 1, 1];

/** Where a node hangs from: its parent node, or a prim inside the parent's model. */
function anchorOf(parent, under, models) {
  if (parent === null) return { body: 0, matrix: matrix() };
  if (under && parent.placement !== null) {
    const inside = models.get(parent.placement.glb)?.nodes.get(under);
    if (inside !== undefined) {
      const group = parent.placement.groups[inside.group];
      const out = matrix();
      multiply(out, 0, group.matrix, 0, inside.matrix, 0);
      return { body: group.body, matrix: out };
    }
  }
  const out = matrix();
  copyMatrix(out, 0, parent.matrix, 0);
  return { body: parent.body, matrix: out };
}

function nearest(own, inherited) {
  return own && own !== "default" ? own : (inherited ?? "default");
}
