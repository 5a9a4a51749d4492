import * as THREE from "../../vendor/three/three.module.js";
import { Grid } from "./grid.js";
import { projectThrough } from "./lens.js";
import { Light } from "./light.js";
import { movePoint, turnVector, vec } from "./matrices.js";
import { Outlines } from "./outlines.js";
import { Tints } from "./tints.js";

const KEPT = 60;

/** The renderer, and everything of the picture that is no plant. */
export class Picture {
  #times = new Float64Array(KEPT);
  #frames = 0;
  #drawn = { calls: 0, triangles: 0 };
  #point = [0, 0, 0];
  #size = { width: 1, height: 1 };

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./plant.js").Plant} plant
   * @param {object} options of the view
   */
  constructor(canvas, plant, options) {
    this.plant = plant;
    this.cap = options.pixelRatio ?? 2;
    this.transparent = options.transparent === true;
    this.renderer = new THREE.WebGLRenderer({
      canvas,
      antialias: options.antialias,
      alpha: this.transparent,
      preserveDrawingBuffer: options.preserve === true,
      powerPreference: "high-performance",
    });
    const { renderer } = this;
    renderer.localClippingEnabled = true;
    renderer.autoClear = false;
    renderer.info.autoReset = false;
    renderer.toneMapping = THREE.NeutralToneMapping;
    renderer.shadowMap.enabled = options.shadows !== false;
    renderer.shadowMap.type = THREE.PCFShadowMap;
    renderer.shadowMap.autoUpdate = false;
    this.scene = new THREE.Scene();
    this.scene.matrixWorldAutoUpdate = false;
    this.camera = new THREE.PerspectiveCamera(42, 1, 0.1, 1000);
    this.camera.matrixAutoUpdate = false;
    this.camera.matrixWorldAutoUpdate = false;
    this.light = new Light(renderer, this.scene);
    this.grid = new Grid();
    this.outlines = new Outlines(plant);
    this.tints = new Tints(plant);
    this.scene.add(this.grid.mesh, this.tints.group);
  }

  /** Add groups of the drawing; those below the root move with stage axes. */
  add(...groups) {
    for (const group of groups) {
      this.scene.add(group);
      if (group === this.plant.root) continue;
      // Their meshes share the root's world matrix; those of handles are children in stage axes.
      group.matrix = this.plant.root.matrix;
    }
  }

  resize(width, height) {
    this.#size = { width, height };
    this.renderer.setPixelRatio(Math.min(globalThis.devicePixelRatio || 1, this.cap));
    this.renderer.setSize(width, height, false);
  }

  setTheme(theme) {
    this.light.setTheme(theme);
    this.renderer.setClearColor(this.light.horizon, this.transparent ? 0 : 1);
    this.grid.setTheme(theme);
    this.plant.materials.setTheme(this.light.theme);
    this.light.refresh();
  }

  setShadows(shown) {
    this.renderer.shadowMap.enabled = shown;
    this.light.sun.castShadow = shown;
    this.light.refresh();
  }

  /** Take planes in drawing space. */
  cut(planes) {
    this.plant.materials.cut(planes);
    this.tints.cut(planes);
    this.outlines.cut(planes);
    this.light.refresh();
  }

  /** Take the prims of a new scene, or of what is shown of it. */
  rebuild() {
    this.tints.rebuild();
    this.outlines.rebuild();
    this.light.refresh();
  }

  #aim(eye, bounds) {
    const { camera, plant } = this;
    const { toDrawing, origin } = plant;
    const unit = plant.stage?.unit ?? 1;
    const from = vec.sub(eye.position, origin);
    const point = this.#point;
    const axes = [eye.right, eye.above, vec.scale(eye.forward, -1)];
    const m = camera.matrixWorld.elements;
    for (let k = 0; k < 3; k++) {
      turnVector(point, toDrawing, 0, ...axes[k]);
      const length = vec.length(point) || 1;
      for (let i = 0; i < 3; i++) m[4 * k + i] = point[i] / length;
      m[4 * k + 3] = 0;
    }
    movePoint(point, toDrawing, 0, from[0], from[1], from[2]);
    m[12] = point[0];
    m[13] = point[1];
    m[14] = point[2];
    m[15] = 1;
    camera.position.set(point[0], point[1], point[2]);
    camera.matrixWorldInverse.copy(camera.matrixWorld).invert();
    const distance = eye.distance * unit;
    const [low, high] = bounds;
    const centre = vec.mix(low, high, 0.5);
    const radius = (vec.length(vec.sub(high, low)) / 2) * unit;
    const out = vec.length(vec.sub(eye.position, centre)) * unit;
    camera.fov = eye.fov;
    camera.aspect = eye.aspect;
    // Near enough for the grid's floor, far enough for depths to be told apart.
    const height = Math.abs(vec.dot(vec.sub(eye.position, low), eye.up)) * unit;
    const clear = Math.min(out - radius * 1.1, height * 0.8);
    camera.near = Math.max(Math.min(distance * 0.02, 1), clear, 1e-4 * unit);
    camera.far = Math.max(out + radius * 1.2, distance * 6, camera.near * 10);
    if (eye.lens === null) camera.updateProjectionMatrix();
    else {
      camera.near = Math.max(clear, camera.far * 1e-5);
      projectThrough(camera, eye.gate, unit);
    }
    // The sky is a dome about the eye, which parallel rays would miss.
    this.light.dome.visible = !this.transparent && eye.lens?.orthographic !== true;
  }

  /**
   * Draw a frame.
   *
   * @param {import("./eye.js").Eye} eye
   * @param {[number[], number[]]} bounds of the scene, stage space
   * @param {number} now [ms]
   * @returns {boolean} whether another frame is due for the shadows
   */
  draw(eye, bounds, now) {
    const { renderer, plant } = this;
    renderer.info.reset();
    this.#aim(eye, bounds);
    const late = this.#fit(eye, bounds, now);
    this.tints.update();
    for (const object of this.scene.children) if (object.isGroup) placeTree(object);
    renderer.setRenderTarget(null);
    renderer.clear();
    renderer.render(this.scene, this.camera);
    this.outlines.draw(renderer, this.camera);
    this.#drawn.calls = renderer.info.render.calls;
    this.#drawn.triangles = renderer.info.render.triangles;
    return late && plant.stage !== null;
  }

  #fit(eye, bounds, now) {
    const { plant } = this;
    const unit = plant.stage?.unit ?? 1;
    const point = [0, 0, 0];
    const inDrawing = (p) => {
      const from = vec.sub(p, plant.origin);
      return new THREE.Vector3(...movePoint(point, plant.toDrawing, 0, ...from));
    };
    const [low, high] = bounds;
    const radius = (vec.length(vec.sub(high, low)) / 2) * unit;
    const distance = eye.distance * unit;
    const target = inDrawing(eye.target);
    const floor = inDrawing(low).y;
    if (this.grid.mesh.visible) {
      const at = turnVector([0, 0, 0], plant.toDrawing, 0, ...plant.origin);
      const origin = new THREE.Vector3(...at);
      this.grid.place(target, floor - radius * 1e-4, distance, unit, origin);
    }
    const reach = Math.min(Math.max(distance * 1.1, radius * 0.03), radius);
    const centre = reach >= radius ? inDrawing(vec.mix(low, high, 0.5)) : target;
    return this.light.fit(centre, reach, plant.standing, plant.version, now);
  }

  /** Count a frame's time [ms]. */
  count(time) {
    this.#times[this.#frames++ % KEPT] = time;
  }

  get stats() {
    const { memory } = this.renderer.info;
    const size = Math.min(this.#frames, KEPT);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += this.#times[i];
    return {
      drawCalls: this.#drawn.calls,
      triangles: this.#drawn.triangles,
      jsPerFrame: size > 0 ? sum / size : 0,
      jsLast: size > 0 ? this.#times[(this.#frames - 1) % KEPT] : 0,
      frames: this.#frames,
      geometries: memory.geometries,
      textures: memory.textures,
      programs: this.renderer.info.programs?.length ?? 0,
    };
  }

  /** @returns {Promise<Blob>} a picture in a size of its own [px] */
  async still(eye, bounds, width, height, type) {
    const { renderer } = this;
    const { aspect } = eye;
    if (width && height) {
      renderer.setPixelRatio(1);
      renderer.setSize(width, height, false);
      eye.aspect = width / height;
    }
    this.light.refresh();
    this.draw(eye, bounds, performance.now());
    eye.aspect = aspect;
    return new Promise((resolve, reject) => {
      const taken = (blob) => (blob ? resolve(blob) : reject(new Error("no picture was made")));
      renderer.domElement.toBlob(taken, type, 0.92);
    });
  }

  dispose() {
    this.outlines.dispose();
    this.tints.dispose();
    this.grid.dispose();
    this.light.dispose();
    this.renderer.dispose();
  }
}

// Only handles have matrices of their own; everything else shares the root's.
function placeTree(group) {
  group.matrixWorld.copy(group.matrix);
  for (const child of group.children) {
    if (!child.userData.frame) continue;
    child.matrixWorld.copy(group.matrixWorld);
    for (const object of child.children) {
      object.matrixWorld.multiplyMatrices(child.matrixWorld, object.matrix);
    }
  }
}
