import * as THREE from "../../vendor/three/three.module.js";
import { compose, invert, matrix, multiply } from "./matrices.js";
import { readModel } from "./model.js";
import { Overlay } from "./overlay.js";
import { piecesOf } from "./poses.js";

const ONES = [1, 1, 1];
const ORIGIN = [0, 0, 0];
const UPRIGHT = [0, 0, 0, 1];
const REMOVED = "#ff5d5d";
const WHITE = "#78bcff";

const VERTEX = `
#include <common>
#include <clipping_planes_pars_vertex>
varying vec3 facing;
varying vec3 toEye;
void main() {
  vec4 mvPosition = modelViewMatrix * instanceMatrix * vec4( position, 1.0 );
  facing = normalize( mat3( modelViewMatrix ) * mat3( instanceMatrix ) * normal );
  toEye = - mvPosition.xyz;
  gl_Position = projectionMatrix * mvPosition;
  #include <clipping_planes_vertex>
}`;
const FRAGMENT = `
#include <common>
#include <clipping_planes_pars_fragment>
uniform vec3 colour;
varying vec3 facing;
varying vec3 toEye;
void main() {
  #include <clipping_planes_fragment>
  float rim = 1.0 - abs( dot( normalize( facing ), normalize( toEye ) ) );
  gl_FragColor = vec4( colour, 0.22 + 0.6 * rim * rim );
  #include <colorspace_fragment>
}`;

/**
 * Translucent copies of prims where they would be: drafts of moves, layouts that are proposed.
 *
 * @typedef {object} Ghost `path` with one of `matrix` (local to the prim's parent), `world` (stage
 *   space), `offset` (in the prim's own space), `position` and `orientation`, `removed`; or `glb` with
 *   `world`
 */
export class Ghosts {
  #sets = new Map();

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {import("./poses.js").Poses} poses
   * @param {() => void} changed
   */
  constructor(plant, poses, changed) {
    this.plant = plant;
    this.poses = poses;
    this.changed = changed;
    this.group = new THREE.Group();
    this.group.matrixAutoUpdate = false;
    this.fetchGlb = null;
  }

  /**
   * @param {string} key
   * @param {Ghost[]} ghosts
   * @param {{colour?: string}} [options]
   */
  set(key, ghosts, { colour = WHITE } = {}) {
    this.#drop(key);
    if (ghosts.length > 0) {
      const set = { ghosts, colour, entries: [] };
      this.#sets.set(key, set);
      for (const ghost of ghosts) this.#build(set, ghost);
    }
    this.changed();
  }

  remove(key) {
    this.#drop(key);
    this.changed();
  }

  clear() {
    for (const key of [...this.#sets.keys()]) this.#drop(key);
    this.changed();
  }

  get keys() {
    return [...this.#sets.keys()];
  }

  #drop(key) {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    for (const entry of set.entries) entry.dispose();
    this.#sets.delete(key);
  }

  #build(set, ghost) {
    const material = ghostly(ghost.removed ? REMOVED : (ghost.colour ?? set.colour), this.planes);
    if (ghost.glb !== undefined) {
      this.#buildNew(set, ghost, material);
      return;
    }
    const pieces = piecesOf(this.plant, ghost.path);
    const overlay = new Overlay(this.plant, pieces, () => material);
    this.group.add(overlay.group);
    const moved = matrix();
    set.entries.push({
      update: () => {
        if (this.#moved(moved, ghost)) overlay.update(moved);
      },
      material,
      dispose: () => {
        overlay.dispose();
        material.dispose();
      },
    });
  }

  /** out = what takes the prim from where it is to where the ghost is. */
  #moved(out, ghost) {
    const pose = this.poses.of(ghost.path);
    if (pose === null) return false;
    const goal = matrix(pose.world);
    if (ghost.world) goal.set(ghost.world);
    else if (ghost.matrix) multiply(goal, 0, pose.parent, 0, ghost.matrix, 0);
    else if (ghost.offset) multiply(goal, 0, pose.world, 0, ghost.offset, 0);
    else if (ghost.position || ghost.orientation) {
      const local = matrix();
      const at = [ghost.position ?? ORIGIN, 0, ghost.orientation ?? UPRIGHT, 0, ONES, 0];
      compose(local, 0, ...at);
      multiply(goal, 0, pose.parent, 0, local, 0);
    }
    const back = matrix();
    if (!invert(back, 0, pose.world, 0)) return false;
    multiply(out, 0, goal, 0, back, 0);
    return true;
  }

  // A model that is placed nowhere yet is read for the ghost alone.
  #buildNew(set, ghost, material) {
    const entry = { meshes: [], material, update: () => {}, dispose: () => {} };
    set.entries.push(entry);
    let gone = false;
    entry.dispose = () => {
      gone = true;
      for (const mesh of entry.meshes) {
        mesh.removeFromParent();
        mesh.geometry.dispose();
        mesh.dispose();
      }
      material.dispose();
    };
    const known = this.plant.model(ghost.glb);
    const model = known
      ? Promise.resolve(known)
      : this.fetchGlb(ghost.glb).then((buffer) => readModel(ghost.glb, buffer, []));
    model
      .then((found) => {
        if (gone) return;
        this.#placeNew(entry, found, ghost, material);
        this.changed();
      })
      .catch((error) => console.error(`the ghost of model ${ghost.glb} cannot be drawn`, error));
  }

  #placeNew(entry, model, ghost, material) {
    const worlds = [];
    for (const group of model.groups) {
      const world = matrix(ghost.world);
      if (group.parent >= 0) {
        multiply(world, 0, worlds[group.parent], 0, group.base, 0);
        multiply(world, 0, world, 0, group.local, 0);
      }
      worlds.push(world);
      for (const part of group.parts) {
        if (part.shape !== "triangles" || !this.plant.partShown(part)) continue;
        const mesh = loose(part, material);
        mesh.matrixWorld = this.plant.root.matrixWorld;
        this.group.add(mesh);
        entry.meshes.push(mesh);
        const at = matrix(world);
        const { centre } = group;
        for (let k = 0; k < 3; k++) {
          at[12 + k] +=
            centre[0] * world[k] + centre[1] * world[4 + k] + centre[2] * world[8 + k];
        }
        mesh.userData.world = at;
      }
    }
    entry.update = () => {
      for (const mesh of entry.meshes) {
        const out = mesh.instanceMatrix.array;
        out.set(mesh.userData.world);
        for (let k = 0; k < 3; k++) out[12 + k] = mesh.userData.world[12 + k] - this.plant.origin[k];
        mesh.instanceMatrix.needsUpdate = true;
      }
    };
  }

  /** Take the prims of a new scene. */
  rebuild() {
    for (const set of this.#sets.values()) {
      for (const entry of set.entries) entry.dispose();
      set.entries.length = 0;
      for (const ghost of set.ghosts) this.#build(set, ghost);
    }
  }

  /** @param {THREE.Plane[]} planes */
  cut(planes) {
    this.planes = planes;
    for (const { entries } of this.#sets.values()) {
      for (const { material } of entries) {
        material.clippingPlanes = planes;
        material.needsUpdate = true;
      }
    }
  }

  update() {
    for (const { entries } of this.#sets.values()) for (const entry of entries) entry.update();
  }
}

function loose(part, material) {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(part.positions.slice(), 3));
  const normal = part.attributes.normal.slice();
  geometry.setAttribute("normal", new THREE.BufferAttribute(normal, 4, true));
  geometry.setIndex(new THREE.BufferAttribute(part.index.slice(), 1));
  const mesh = new THREE.InstancedMesh(geometry, material, 1);
  mesh.frustumCulled = false;
  mesh.matrixAutoUpdate = false;
  mesh.matrixWorldAutoUpdate = false;
  return mesh;
}

function ghostly(colour, planes) {
  return new THREE.ShaderMaterial({
    uniforms: { colour: { value: new THREE.Color(colour) } },
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    transparent: true,
    depthWrite: false,
    clipping: true,
    clippingPlanes: planes ?? [],
  });
}
