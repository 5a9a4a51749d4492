import { invert, matrix, movePoint, vec } from "./matrices.js";
import { Raycaster } from "./raycast.js";

/** Says which prim lies on a ray, in the terms of the stage. */
export class Picker {
  #raycaster;

  /**
   * @param {import("./plant.js").Plant} plant
   * @param {import("./poses.js").Poses} poses
   * @param {import("./sections.js").Sections} sections
   * @param {import("./eye.js").Eye} eye
   */
  constructor(plant, poses, sections, eye) {
    this.plant = plant;
    this.poses = poses;
    this.sections = sections;
    this.eye = eye;
    this.#raycaster = new Raycaster(plant);
  }

  #cast(origin, direction) {
    this.#raycaster.planes = this.sections.enabled;
    return this.#raycaster.first(origin, direction);
  }

  /** @returns {object|null} the hit as API.md has it */
  first(origin, direction) {
    if (this.plant.stage === null) return null;
    const found = this.#cast(origin, direction);
    if (found === null) return null;
    const { batch, slot, range, point, normal, distance } = found;
    const { path: model, instance } = this.plant.stage.placements[batch.placement[slot]];
    const join = model === "/" ? "/" : `${model}/`;
    const path = instance < 0 && range.path ? join + range.path : model;
    const element = instance < 0 ? path : `${path}[${instance}]`;
    const pose = this.poses.of(element);
    const local = pose === null ? point : toLocal(pose.world, point);
    return { path, instance, element, model, point, normal, local, distance };
  }

  /** Whether something lies before a point, or a section cuts it away. */
  hides(point) {
    const from = this.eye.seenFrom(point);
    const out = vec.sub(point, from);
    const distance = vec.length(out);
    const slack = distance * 0.004 + this.eye.reach * 1e-4;
    for (const { normal, point: on } of this.sections.enabled) {
      if (vec.dot(vec.sub(point, on), normal) > slack) return true;
    }
    const hit = this.#cast(from, vec.scale(out, 1 / distance));
    return hit !== null && hit.distance < distance - slack;
  }
}

function toLocal(world, point) {
  const inverse = matrix();
  if (!invert(inverse, 0, world, 0)) return point;
  return movePoint([0, 0, 0], inverse, 0, ...point);
}
