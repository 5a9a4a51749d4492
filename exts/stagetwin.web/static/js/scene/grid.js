import * as THREE from "../../vendor/three/three.module.js";

const VERTEX = `
varying vec2 at;
varying vec3 fromEye;
void main() {
  at = position.xz;
  vec4 place = modelViewMatrix * vec4( position, 1.0 );
  fromEye = place.xyz;
  gl_Position = projectionMatrix * place;
}`;
const FRAGMENT = `
uniform vec3 colour;
uniform vec2 shift;
uniform float cell;
uniform float reach;
varying vec2 at;
varying vec3 fromEye;
float lines( float size ) {
  vec2 place = ( at + mod( shift, vec2( size ) ) ) / size;
  vec2 wide = fwidth( place );
  vec2 near = abs( fract( place - 0.5 ) - 0.5 ) / max( wide, 1e-6 );
  float line = 1.0 - min( min( near.x, near.y ), 1.0 );
  return line * clamp( 1.2 - max( wide.x, wide.y ) * 3.0, 0.0, 1.0 );
}
void main() {
  float fade = 1.0 - smoothstep( 0.2, 0.9, length( fromEye ) / reach );
  float line = max( lines( cell ) * 0.35, lines( cell * 10.0 ) * 0.8 );
  float alpha = line * fade * 0.55;
  if ( alpha < 0.004 ) discard;
  gl_FragColor = vec4( colour, alpha );
  #include <colorspace_fragment>
}`;

/** A floor of lines whose cells are 1, 10 or 100 units of the stage, by how far away one is. */
export class Grid {
  constructor() {
    const geometry = new THREE.PlaneGeometry(1, 1).rotateX(-Math.PI / 2);
    this.material = new THREE.ShaderMaterial({
      uniforms: {
        colour: { value: new THREE.Color() },
        shift: { value: new THREE.Vector2() },
        cell: { value: 1 },
        reach: { value: 100 },
      },
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      depthWrite: false,
      side: THREE.DoubleSide,
    });
    this.mesh = new THREE.Mesh(geometry, this.material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = -5;
    /** Length of a cell's side [stage units]. */
    this.cell = 1;
  }

  setTheme(name) {
    this.material.uniforms.colour.value.set(name === "light" ? "#5b6b7b" : "#8fa5bd");
  }

  /**
   * Lie below the scene, around where the camera looks.
   *
   * @param {THREE.Vector3} target drawing space
   * @param {number} floor height in drawing space
   * @param {number} distance from the camera to its target
   * @param {number} unit metres of a stage unit
   * @param {THREE.Vector3} origin of the drawing in stage axes, turned, so that lines stay in place
   */
  place(target, floor, distance, unit, origin) {
    const step = 10 ** Math.floor(Math.log10(Math.max(distance / unit, 1e-6) / 4));
    this.cell = step;
    const cell = step * unit;
    const reach = distance * 5;
    const { uniforms } = this.material;
    uniforms.cell.value = cell;
    uniforms.reach.value = reach;
    const big = cell * 10;
    const x = Math.round(target.x / big) * big;
    const z = Math.round(target.z / big) * big;
    // Vertices are scaled by hand: the lines are counted in metres, not in parts of the plane.
    const { position } = this.mesh.geometry.attributes;
    const corners = [-1, -1, 1, -1, -1, 1, 1, 1];
    for (let i = 0; i < 4; i++) {
      position.setXYZ(i, corners[2 * i] * reach, 0, corners[2 * i + 1] * reach);
    }
    position.needsUpdate = true;
    uniforms.shift.value.set((x + origin.x) % big, (z + origin.z) % big);
    this.mesh.position.set(x, floor, z);
    this.mesh.updateMatrixWorld();
  }

  dispose() {
    this.mesh.geometry.dispose();
    this.material.dispose();
  }
}
