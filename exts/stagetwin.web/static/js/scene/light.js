import * as THREE from "../../vendor/three/three.module.js";

const THEMES = {
  dark: {
    top: "#0d1420",
    horizon: "#2b3a4d",
    ground: "#141b25",
    sky: 1.35,
    sun: 2.5,
    mirrored: { top: "#7f97b5", horizon: "#e4eaf1", ground: "#34393f" },
    cap: 0x7f8b99,
  },
  light: {
    top: "#b9d2ea",
    horizon: "#eef3f7",
    ground: "#d5dbe0",
    sky: 1.9,
    sun: 2.9,
    mirrored: { top: "#b4cde8", horizon: "#fbfcfd", ground: "#77756f" },
    cap: 0x9aa5b1,
  },
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
    // Without shadows nothing moves it from here.
    this.sun.position.copy(SUN);
    this.sun.updateMatrixWorld();
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
    this.theme = theme;
    this.horizon = theme.horizon;
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
