/**
 * A model: what one GLB draws, merged to a few parts.
 *
 * Nodes that move on their own begin a group of their own; within a group nothing moves against
 * anything else, so all its triangles of one class of material become one part, which remembers which
 * of its triangles belong to which prim. Placing a model a thousand times costs as many draw calls as
 * placing it once.
 */

import { readGlb } from "./glb.js";
import { looksOf } from "./looks.js";
import { determinant, IDENTITY, matrix, multiply } from "./matrices.js";
import { Merger } from "./merger.js";

/**
 * @typedef {object} Range
 * @property {string} path of the prim, relative to the model root
 * @property {number} start first index
 * @property {number} count indices
 * @property {Float64Array} bounds min x, y, z, max x, y, z, in the part's space
 */

/**
 * @typedef {object} Part
 * @property {import("./looks.js").Look} look
 * @property {"triangles"|"lines"|"points"} shape
 * @property {string} purpose
 * @property {boolean} hidden
 * @property {Float32Array} positions relative to the group's centre
 * @property {object} attributes further arrays of the vertices
 * @property {Uint32Array} index
 * @property {Range[]} ranges by start
 */

/**
 * @typedef {object} Group
 * @property {string} path of the node that moves, relative to the model root; empty for the root
 * @property {number} parent group it moves with
 * @property {Float64Array} base matrix from the node's parent to the parent group's node
 * @property {Float64Array} local matrix of the node as the file has it
 * @property {Float64Array} centre of the parts, in the node's space
 * @property {number} radius about the centre
 * @property {Part[]} parts
 */

/** A parsed GLB, and its groups for one set of moving nodes. */
export class Model {
  /**
   * @param {string} key
   * @param {{nodes: object[], materials: object[], textures: object[]}} file
   * @param {string[]} movers paths of the nodes that move, relative to the root
   */
  constructor(key, file, movers) {
    this.key = key;
    this.textures = file.textures;
    /** @type {Group[]} */
    this.groups = [];
    /** Group and matrix within it, by path. */
    this.nodes = new Map();
    this.#group(file, new Set(movers));
    this.#merge(file, looksOf(file.materials, key));
  }

  #group(file, movers) {
    const root = { path: "", parent: -1, base: matrix(), local: matrix() };
    this.groups.push(root);
    this.places = [];
    for (const node of file.nodes) {
      const above = node.parent < 0 ? { group: 0, matrix: matrix() } : this.places[node.parent];
      const path = node.path ?? (node.parent < 0 ? "" : this.places[node.parent].path);
      let group = above.group;
      const within = matrix(IDENTITY);
      // The root's own transform is the placement's, not the file's.
      if (node.path !== null && node.path !== "" && movers.has(node.path)) {
        group = this.groups.length;
        this.groups.push({
          path: node.path,
          parent: above.group,
          base: matrix(above.matrix),
          local: matrix(node.matrix),
        });
      } else multiply(within, 0, above.matrix, 0, node.matrix, 0);
      this.places.push({ group, matrix: within, path });
      if (node.path !== null && !this.nodes.has(node.path)) {
        this.nodes.set(node.path, { group, matrix: within });
      }
    }
  }

  #merge(file, lookOf) {
    const mergers = this.groups.map(() => new Merger());
    for (let i = 0; i < file.nodes.length; i++) {
      const node = file.nodes[i];
      const place = this.places[i];
      for (const primitive of node.primitives) {
        mergers[place.group].add(primitive, lookOf(primitive.material), place, node);
      }
    }
    for (let g = 0; g < this.groups.length; g++) Object.assign(this.groups[g], mergers[g].merge());
    delete this.places;
  }
}

/**
 * @param {string} key unique name of the file with its movers
 * @param {ArrayBuffer} buffer
 * @param {string[]} movers
 */
export function readModel(key, buffer, movers) {
  return new Model(key, readGlb(buffer), movers);
}

/**
 * Return a group mirrored in x, for placements that mirror it: the drawing of instances knows one
 * winding for all of them.
 *
 * @param {Group} group
 * @returns {Group}
 */
export function mirrored(group) {
  const parts = group.parts.map((part) => {
    const positions = part.positions.slice();
    for (let v = 0; v < positions.length; v += 3) positions[v] = -positions[v];
    const normal = part.attributes.normal?.slice();
    for (let v = 0; normal && v < normal.length; v += 4) normal[v] = -normal[v];
    const index = part.index.slice();
    for (let i = 0; part.shape === "triangles" && i + 2 < index.length; i += 3) {
      [index[i + 1], index[i + 2]] = [index[i + 2], index[i + 1]];
    }
    const ranges = part.ranges.map((range) => {
      const [a, b, c, d, e, f] = range.bounds;
      return { ...range, bounds: Float64Array.of(-d, b, c, -a, e, f) };
    });
    const attributes = { ...part.attributes, ...(normal && { normal }) };
    return { ...part, positions, index, ranges, attributes };
  });
  return { ...group, parts };
}

/** @returns {boolean} whether a matrix turns left hands into right ones */
export function mirrors(m, at = 0) {
  return determinant(m, at) < 0;
}
