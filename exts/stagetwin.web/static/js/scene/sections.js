import * as THREE from "../../vendor/three/three.module.js";
import { Events } from "../core/events.js";
import { matrix, movePoint, turnVector, vec } from "./matrices.js";

const MOST = 6;
const AXES = { x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] };
const COLOUR = 0x2f9bff;
/** Size of a handle, in parts of how far away it is. */
const HANDLE = 0.035;

/**
 * @typedef {object} Section what lies on the normal's side of a plane is cut away
 * @property {string} id
 * @property {number[]} point in stage space
 * @property {number[]} normal of unit length, in stage space
 * @property {boolean} enabled
 */

/** Planes that cut the scene, and the handles that move them. */
export class Sections extends Events {
  #list = [];
  #handles = new Map();
  #next = 1;

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {() => [number[], number[]]} boundsOfAll in stage space
   */
  constructor(plant, boundsOfAll) {
    super();
    this.plant = plant;
    this.boundsOfAll = boundsOfAll;
    this.group = new THREE.Group();
    this.group.matrixAutoUpdate = false;
    this.active = null;
    this.planes = [];
    /** How often it changed. */
    this.version = 0;
    this.#shown = true;
  }

  #shown;

  /** @returns {Section[]} copies */
  get list() {
    return this.#list.map(copy);
  }

  get enabled() {
    return this.#list.filter((section) => section.enabled);
  }

  get showHandles() {
    return this.#shown;
  }

  set showHandles(shown) {
    this.#shown = shown;
    this.#changed(false);
  }

  /**
   * Add a section.
   *
   * @param {"x"|"y"|"z"|Partial<Section>} what
   * @returns {string} its id
   * @throws {RangeError} there are six already, or a normal has no length
   */
  add(what) {
    if (this.#list.length >= MOST) throw new RangeError(`there are ${MOST} sections at most`);
    const [low, high] = this.boundsOfAll();
    const given = typeof what === "string" ? { normal: AXES[what] } : what;
    const section = {
      id: given.id ?? `section-${this.#next++}`,
      point: [...(given.point ?? vec.mix(low, high, 0.5))],
      normal: unit(given.normal),
      enabled: given.enabled ?? true,
    };
    this.#list = this.#list.filter((other) => other.id !== section.id);
    this.#list.push(section);
    this.active = section.id;
    this.#changed();
    return section.id;
  }

  #find(id) {
    return this.#list.find((section) => section.id === id);
  }

  /** Change fields of a section. */
  update(id, change) {
    const section = this.#find(id);
    if (section === undefined) return;
    if (change.point) section.point = [...change.point];
    if (change.normal) section.normal = unit(change.normal);
    if (change.enabled !== undefined) section.enabled = change.enabled;
    this.#changed();
  }

  remove(id) {
    this.#list = this.#list.filter((section) => section.id !== id);
    if (this.active === id) this.active = this.#list.at(-1)?.id ?? null;
    this.#changed();
  }

  clear() {
    this.set([]);
  }

  /** Take these sections and no others. */
  set(list) {
    this.#list = list.slice(0, MOST).map((section, i) => ({
      id: section.id ?? `section-${this.#next++}-${i}`,
      point: [...section.point],
      normal: unit(section.normal),
      enabled: section.enabled ?? true,
    }));
    if (!this.#find(this.active)) this.active = this.#list.at(-1)?.id ?? null;
    this.#changed();
  }

  /** Move a section along its normal [stage units]. */
  move(id, distance) {
    const section = this.#find(id);
    if (section === undefined) return;
    section.point = vec.add(section.point, vec.scale(section.normal, distance));
    this.#changed();
  }

  /** Turn a section's normal about an axis of the stage. */
  turn(id, axis, degrees) {
    const section = this.#find(id);
    if (section === undefined) return;
    section.normal = unit(vec.turn(section.normal, AXES[axis], (degrees * Math.PI) / 180));
    this.#changed();
  }

  flip(id) {
    const section = this.#find(id);
    if (section) this.update(id, { normal: vec.scale(section.normal, -1) });
  }

  #changed(tell = true) {
    this.version++;
    this.#draw();
    this.emit(tell ? "change" : "handles", this.list);
  }

  /** Planes in drawing space, as the renderer takes them. */
  place(eye) {
    const { plant } = this;
    this.eye = eye;
    const enabled = this.enabled;
    this.planes.length = enabled.length;
    const point = [0, 0, 0];
    const normal = [0, 0, 0];
    for (let i = 0; i < enabled.length; i++) {
      const section = enabled[i];
      const from = vec.sub(section.point, plant.origin);
      movePoint(point, plant.toDrawing, 0, from[0], from[1], from[2]);
      turnVector(normal, plant.toDrawing, 0, ...section.normal);
      const [x, y, z] = vec.unit(normal);
      this.planes[i] ??= new THREE.Plane();
      // The renderer keeps what is on a plane's positive side.
      this.planes[i].normal.set(-x, -y, -z);
      this.planes[i].constant = x * point[0] + y * point[1] + z * point[2];
    }
    this.#placeHandles();
    return this.planes;
  }

  // -- handles

  #draw() {
    const wanted = new Set(this.#shown ? this.enabled.map(({ id }) => id) : []);
    for (const [id, handle] of this.#handles) {
      if (wanted.has(id)) continue;
      dispose(handle);
      this.#handles.delete(id);
    }
    for (const id of wanted) {
      if (this.#handles.has(id)) continue;
      const handle = makeHandle();
      this.#handles.set(id, handle);
      this.group.add(handle);
    }
  }

  #placeHandles() {
    if (this.#handles.size === 0) return;
    const { plant } = this;
    const [low, high] = this.boundsOfAll();
    const centre = vec.mix(low, high, 0.5);
    for (const [id, handle] of this.#handles) {
      const { normal, point: at } = this.#find(id);
      const middle = vec.add(centre, vec.scale(normal, vec.dot(vec.sub(at, centre), normal)));
      const across = Math.abs(normal[2]) < 0.9 ? [0, 0, 1] : [0, 1, 0];
      const u = vec.unit(vec.cross(across, normal));
      const v = vec.cross(normal, u);
      const extent = (axis) => {
        const size = vec.sub(high, low);
        return Math.abs(axis[0] * size[0]) + Math.abs(axis[1] * size[1]) + Math.abs(axis[2] * size[2]);
      };
      const arrow = vec.length(vec.sub(this.eye.position, at)) * HANDLE;
      handle.userData.at = at;
      handle.userData.size = arrow;
      const [w, h] = [extent(u) * 1.04, extent(v) * 1.04];
      const frame = matrix([...vec.scale(u, w), 0, ...vec.scale(v, h), 0, ...normal, 0, 0, 0, 0, 1]);
      for (let k = 0; k < 3; k++) frame[12 + k] = middle[k] - plant.origin[k];
      handle.userData.frame.matrix.fromArray(frame);
      const mid = vec.sub(at, plant.origin);
      const turn = [...vec.scale(u, arrow), 0, ...vec.scale(v, arrow), 0];
      handle.userData.arrow.matrix.fromArray([...turn, ...vec.scale(normal, arrow), 0, ...mid, 1]);
      for (const mesh of [handle.userData.frame, handle.userData.arrow]) {
        mesh.children.concat(mesh).forEach((object) => {
          if (object.material) object.material.opacity = this.active === id ? 0.95 : 0.45;
        });
      }
    }
    this.group.updateMatrixWorld(true);
  }

  /**
   * Return the section whose handle lies under a ray.
   *
   * @returns {{id: string, at: number[]}|null}
   */
  under(origin, direction) {
    let best = null;
    for (const [id, handle] of this.#handles) {
      const { at, size } = handle.userData;
      if (at === undefined) continue;
      const { normal } = this.#find(id);
      const tip = vec.add(at, vec.scale(normal, size));
      const reach = size * 0.7;
      const out = vec.sub(tip, origin);
      const along = vec.dot(out, direction);
      const apart = vec.length(vec.sub(out, vec.scale(direction, along)));
      if (along > 0 && apart < reach && (best === null || along < best.along)) {
        best = { id, at: tip, along };
      }
    }
    return best;
  }

  /** How far along a section's normal a ray passes nearest, from a point on it. */
  slide(id, from, origin, direction) {
    const { normal } = this.#find(id);
    const w = vec.sub(from, origin);
    const b = vec.dot(normal, direction);
    const det = 1 - b * b;
    if (det < 1e-6) return 0;
    return (vec.dot(w, direction) * b - vec.dot(w, normal)) / det;
  }

  dispose() {
    for (const handle of this.#handles.values()) dispose(handle);
    this.#handles.clear();
  }
}

function copy({ id, point, normal, enabled }) {
  return { id, point: [...point], normal: [...normal], enabled };
}

function unit(normal) {
  const out = vec.unit(normal ?? [0, 0, 0]);
  if (vec.length(out) === 0) throw new RangeError("a section's normal has no length");
  return out;
}

function makeHandle() {
  const handle = new THREE.Group();
  handle.matrixAutoUpdate = false;
  const outline = new THREE.BufferGeometry();
  const corners = [-0.5, -0.5, 0, 0.5, -0.5, 0, 0.5, 0.5, 0, -0.5, 0.5, 0];
  outline.setAttribute("position", new THREE.Float32BufferAttribute(corners, 3));
  const look = { color: COLOUR, transparent: true, depthWrite: false };
  const frame = new THREE.LineLoop(outline, new THREE.LineBasicMaterial(look));
  const tip = new THREE.ConeGeometry(0.32, 0.9, 20);
  tip.rotateX(Math.PI / 2);
  tip.translate(0, 0, 1);
  const arrow = new THREE.Mesh(tip, new THREE.MeshBasicMaterial({ ...look, depthTest: false }));
  arrow.renderOrder = 10;
  for (const object of [frame, arrow]) {
    object.matrixAutoUpdate = false;
    object.frustumCulled = false;
    handle.add(object);
  }
  handle.userData = { frame, arrow };
  return handle;
}

function dispose(handle) {
  handle.removeFromParent();
  for (const object of [handle.userData.frame, handle.userData.arrow]) {
    object.geometry.dispose();
    object.material.dispose();
  }
}
