import * as THREE from "../../vendor/three/three.module.js";
import { Overlay } from "./overlay.js";
import { piecesOf } from "./poses.js";

const VERTEX = `
varying vec2 at;
void main() {
  at = uv;
  gl_Position = vec4( position.xy, 0.0, 1.0 );
}`;
const FRAGMENT = `
uniform sampler2D mask;
uniform vec2 texel;
uniform float width;
varying vec2 at;
void main() {
  vec4 own = texture2D( mask, at );
  vec4 near = own;
  float most = own.a;
  for ( int i = 0; i < 8; i ++ ) {
    float angle = float( i ) * 0.7853981634;
    vec2 step = vec2( cos( angle ), sin( angle ) ) * texel * width;
    vec4 other = texture2D( mask, at + step );
    if ( other.a > most ) { most = other.a; near = other; }
  }
  float edge = clamp( most - own.a, 0.0, 1.0 );
  float fill = own.a * 0.13;
  float alpha = max( edge * 0.95, fill );
  if ( alpha < 0.01 ) discard;
  vec3 colour = edge > fill ? near.rgb / max( near.a, 0.001 ) : own.rgb / max( own.a, 0.001 );
  gl_FragColor = vec4( colour, alpha );
  #include <colorspace_fragment>
}`;

/** Prims outlined by colour, also through what hides them: selection, hovering, other people. */
export class Outlines {
  #sets = new Map();
  #target = null;

  /** @param {import("./plant.js").Plant} plant */
  constructor(plant) {
    this.plant = plant;
    this.scene = new THREE.Scene();
    this.scene.matrixWorldAutoUpdate = false;
    const uniforms = {
      mask: { value: null },
      texel: { value: new THREE.Vector2() },
      width: { value: 2 },
    };
    this.material = new THREE.ShaderMaterial({
      uniforms,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      depthTest: false,
      depthWrite: false,
    });
    this.quad = new THREE.Mesh(new THREE.PlaneGeometry(2, 2), this.material);
    this.quad.frustumCulled = false;
    this.over = new THREE.Scene();
    this.over.add(this.quad);
    this.eye = new THREE.OrthographicCamera(-1, 1, 1, -1, 0, 1);
  }

  /**
   * Outline prims.
   *
   * @param {string} key
   * @param {string[]|null} paths null: none
   * @param {string} colour as in CSS
   */
  set(key, paths, colour) {
    this.#remove(key);
    if (paths === null || paths.length === 0) return;
    // What others select does not cover one's own selection.
    const last = key === "selection";
    const set = { paths: [...paths], colour, material: flat(colour), overlay: null, last };
    this.#sets.set(key, set);
    this.#build(set);
  }

  #build(set) {
    const pieces = set.paths.flatMap((path) => piecesOf(this.plant, path));
    set.overlay = new Overlay(this.plant, pieces, () => set.material, { everything: true });
    set.overlay.group.renderOrder = set.last ? 1 : 0;
    this.scene.add(set.overlay.group);
  }

  #remove(key) {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    set.overlay.dispose();
    set.material.dispose();
    this.#sets.delete(key);
  }

  /** Take the prims of a new scene. */
  rebuild() {
    for (const set of this.#sets.values()) {
      set.overlay.dispose();
      this.#build(set);
    }
  }

  /** Cut outlines as everything is cut. */
  cut(planes) {
    for (const { material } of this.#sets.values()) {
      material.clippingPlanes = planes;
      material.needsUpdate = true;
    }
  }

  get empty() {
    for (const { overlay } of this.#sets.values()) if (!overlay.empty) return false;
    return true;
  }

  /** Draw the outlines over the picture. */
  draw(renderer, camera) {
    if (this.empty) return;
    for (const { overlay } of this.#sets.values()) overlay.update();
    const target = this.#sized(renderer);
    const shadows = renderer.shadowMap.enabled;
    const [colour, alpha] = [renderer.getClearColor(new THREE.Color()), renderer.getClearAlpha()];
    renderer.shadowMap.enabled = false;
    renderer.setRenderTarget(target);
    renderer.setClearColor(0x000000, 0);
    renderer.clear();
    renderer.render(this.scene, camera);
    renderer.setRenderTarget(null);
    renderer.setClearColor(colour, alpha);
    renderer.shadowMap.enabled = shadows;
    this.material.uniforms.mask.value = target.texture;
    this.material.uniforms.texel.value.set(1 / target.width, 1 / target.height);
    this.material.uniforms.width.value = Math.max(1.5, 2 * renderer.getPixelRatio());
    renderer.render(this.over, this.eye);
  }

  #sized(renderer) {
    const size = renderer.getDrawingBufferSize(new THREE.Vector2());
    if (this.#target?.width === size.x && this.#target.height === size.y) return this.#target;
    this.#target?.dispose();
    this.#target = new THREE.WebGLRenderTarget(size.x, size.y, { depthBuffer: false });
    return this.#target;
  }

  dispose() {
    for (const key of [...this.#sets.keys()]) this.#remove(key);
    this.#target?.dispose();
    this.material.dispose();
    this.quad.geometry.dispose();
  }
}

function flat(colour) {
  return new THREE.MeshBasicMaterial({
    color: colour,
    side: THREE.DoubleSide,
    depthTest: false,
    depthWrite: false,
  });
}
