import * as THREE from "../../vendor/three/three.module.js";

const THEMES = {
  dark: { top: "#0d1420", horizon: "#2b3a4d", ground: "#141b25", sky: 0.55, sun: 2.3, env: 0.55, cap: 0x7f8b99 },
  light: { top: "#b9d2ea", horizon: "#eef3f7", ground: "#d5dbe0", sky: 0.9, sun: 2.9, env: 0.75, cap: 0x9aa5b1 },
};
const SUN = new THREE.Vector3(0.52, 0.78, 0.36).normalize();
const SHADOW_SIZE = 2048;
const SHADOW_EVERY = 120; // ms between shadows of what moves

const SKY_VERTEX = `
varying vec3 way;
void main() {
  way = position;
  vec4 at = projectionMatrix * vec4( mat3( viewMatrix ) * position, 1.0 );
  gl_Position = at.xyww;
}`;
const SKY_FRAGMENT = `
uniform vec3 top;
uniform vec3 horizon;
uniform vec3 ground;
varying vec3 way;
void main() {
  float h = normalize( way ).y;
  vec3 colour = h > 0.0 ? mix( horizon, top, pow( h, 0.55 ) ) : mix( horizon, ground, pow( -h, 0.4 ) );
  gl_FragColor = vec4( colour, 1.0 );
  #include <colorspace_fragment>
}`;

/** Sun with shadows, sky, and what they are reflected by. */
export class Light {
  #renderer;
  #environments = new Map();
  #shadowAt = -Infinity;
  #shadowKey = "";

  /**
   * @param {THREE.WebGLRenderer} renderer
   * @param {THREE.Scene} scene
   */
  constructor(renderer, scene) {
    this.#renderer = renderer;
    this.scene = scene;
    this.sun = new THREE.DirectionalLight(0xfff4e2, 2.5);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(SHADOW_SIZE, SHADOW_SIZE);
    this.sun.shadow.bias = -0.0004;
    this.sun.shadow.radius = 2;
    this.sky = new THREE.HemisphereLight(0xdcebff, 0x6b6258, 0.7);
    this.dome = makeDome();
    scene.add(this.dome, this.sky, this.sun, this.sun.target);
  }

  /** @param {"dark"|"light"} name */
  setTheme(name) {
    const theme = THEMES[name] ?? THEMES.dark;
    const { uniforms } = this.dome.material;
    for (const part of ["top", "horizon", "ground"]) uniforms[part].value.set(theme[part]);
    this.sky.intensity = theme.sky;
    this.sun.intensity = theme.sun;
    this.scene.environment = this.#environment(name, theme);
    this.scene.environmentIntensity = theme.env;
    this.cap = theme.cap;
  }

  // A bright sky, a darker ground and two lamps, blurred: small, for nothing here mirrors sharply.
  #environment(name, theme) {
    const kept = this.#environments.get(name);
    if (kept !== undefined) return kept.texture;
    const scene = new THREE.Scene();
    const dome = makeDome();
    dome.material.uniforms.top.value.set(name === "dark" ? "#8fa6c2" : "#cfe2f5");
    dome.material.uniforms.horizon.value.set("#f2f4f6");
    dome.material.uniforms.ground.value.set(name === "dark" ? "#4a4e54" : "#8f8f8c");
    const lamps = [];
    for (const [x, y, z, size] of [
      [3, 6, 2, 2.6],
      [-5, 4, -3, 1.8],
    ]) {
      const lamp = new THREE.Mesh(
        new THREE.PlaneGeometry(size, size),
        new THREE.MeshBasicMaterial({ color: new THREE.Color(9, 8.6, 8), side: THREE.DoubleSide }),
      );
      lamp.position.set(x, y, z);
      lamp.lookAt(0, 0, 0);
      lamps.push(lamp);
    }
    scene.add(dome, ...lamps);
    const generator = new THREE.PMREMGenerator(this.#renderer);
    const target = generator.fromScene(scene, 0.03, 0.1, 50, { size: 64 });
    generator.dispose();
    for (const object of [dome, ...lamps]) {
      object.geometry.dispose();
      object.material.dispose();
    }
    this.#environments.set(name, target);
    return target.texture;
  }

  /**
   * Fit the shadow to what is looked at, and say whether it must be drawn anew.
   *
   * @param {THREE.Vector3} centre drawing space
   * @param {number} radius
   * @param {number} standing how often what stands changed
   * @param {number} moving how often anything moved
   * @param {number} now [ms]
   * @returns {boolean} whether it is still out of date: what moves is followed less often
   */
  fit(centre, radius, standing, moving, now) {
    if (!this.#renderer.shadowMap.enabled) return false;
    // Steps of a third in size, and of an eighth of it in place, so that it rarely changes.
    const size = 1.33 ** Math.ceil(Math.log(radius) / Math.log(1.33));
    const grid = size / 8;
    const at = centre.clone().divideScalar(grid).round().multiplyScalar(grid);
    const key = `${size} ${at.x} ${at.y} ${at.z} ${standing}`;
    const fixed = key !== this.#shadowKey;
    const moved = moving !== this.moving;
    if (!fixed && !moved) return false;
    if (!fixed && now - this.#shadowAt < SHADOW_EVERY) return true;
    this.#shadowKey = key;
    this.#shadowAt = now;
    this.moving = moving;
    const { sun } = this;
    sun.target.position.copy(at);
    sun.position.copy(at).addScaledVector(SUN, size * 4);
    const { camera } = sun.shadow;
    camera.left = camera.bottom = -size;
    camera.right = camera.top = size;
    camera.near = size * 0.5;
    camera.far = size * 8;
    camera.updateProjectionMatrix();
    sun.shadow.normalBias = (size / SHADOW_SIZE) * 2.5;
    sun.updateMatrixWorld();
    sun.target.updateMatrixWorld();
    this.#renderer.shadowMap.needsUpdate = true;
    return false;
  }

  /** Draw the shadow anew at the next frame. */
  refresh() {
    this.#shadowKey = "";
  }

  dispose() {
    for (const target of this.#environments.values()) target.dispose();
    this.dome.geometry.dispose();
    this.dome.material.dispose();
    this.sun.shadow.map?.dispose();
    this.sun.dispose();
  }
}

function makeDome() {
  const colour = () => ({ value: new THREE.Color() });
  const dome = new THREE.Mesh(
    new THREE.SphereGeometry(1, 24, 16),
    new THREE.ShaderMaterial({
      uniforms: { top: colour(), horizon: colour(), ground: colour() },
      vertexShader: SKY_VERTEX,
      fragmentShader: SKY_FRAGMENT,
      side: THREE.BackSide,
      depthTest: false,
      depthWrite: false,
    }),
  );
  dome.frustumCulled = false;
  dome.renderOrder = -10;
  return dome;
}
