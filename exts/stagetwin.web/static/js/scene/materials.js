import * as THREE from "../../vendor/three/three.module.js";
import { EMISSION_RANGE } from "./looks.js";

const WRAPS = { 33071: THREE.ClampToEdgeWrapping, 33648: THREE.MirroredRepeatWrapping };

const VERTEX_HEAD = `
attribute vec4 surface;
attribute vec4 glow;
attribute vec4 mark;
attribute vec4 state;
varying vec2 vSurface;
varying vec3 vGlow;
varying vec4 vMark;
varying vec2 vState;
`;
const VERTEX_BODY = `
vSurface = surface.xy;
vGlow = glow.rgb * glow.a * ${EMISSION_RANGE.toFixed(1)};
vMark = mark;
vState = state.xy;
`;
const FRAGMENT_HEAD = `
uniform vec4 capColour;
uniform vec3 skyTop;
uniform vec3 skyHorizon;
uniform vec3 skyGround;
varying vec2 vSurface;
varying vec3 vGlow;
varying vec4 vMark;
varying vec2 vState;
`;
// state.x: greyed, the pose is old or bad; state.y: faded, another prim is looked at alone.
const FRAGMENT_COLOUR = `
#include <color_fragment>
float greyOfColour = dot( diffuseColor.rgb, vec3( 0.2126, 0.7152, 0.0722 ) );
diffuseColor.rgb = mix( diffuseColor.rgb, vec3( greyOfColour * 0.8 + 0.06 ), vState.x );
diffuseColor.rgb = mix( diffuseColor.rgb, vMark.rgb, vMark.a );
`;
const FRAGMENT_GLOW = `
#include <emissivemap_fragment>
totalEmissiveRadiance += vGlow * ( 1.0 - 0.85 * vState.x ) + vMark.rgb * vMark.a * 0.28;
`;
// What surfaces mirror is worked out from three colours of the sky and one lamp, not looked up: an
// environment map takes seconds to prepare where there is no graphics card. The share that is
// mirrored follows Karis, "Physically based shading on mobile", 2014.
const FRAGMENT_MIRRORED = `
#include <lights_fragment_end>
{
  vec3 up = ( viewMatrix * vec4( 0.0, 1.0, 0.0, 0.0 ) ).xyz;
  vec3 way = reflect( - geometryViewDir, geometryNormal );
  float rough = material.roughness;
  float height = dot( way, up );
  vec3 sky = mix( skyGround, skyHorizon, smoothstep( - 0.15 - 0.7 * rough, 0.08 + 0.5 * rough, height ) );
  sky = mix( sky, skyTop, smoothstep( 0.0, 0.9 + 0.6 * rough, height ) );
  vec3 lamp = normalize( ( viewMatrix * vec4( - 0.45, 0.75, 0.5, 0.0 ) ).xyz );
  float gloss = mix( 90.0, 3.0, sqrt( rough ) );
  sky += vec3( 1.0, 0.97, 0.92 ) * pow( max( dot( way, lamp ), 0.0 ), gloss ) * mix( 2.2, 0.25, rough );
  float facing = saturate( dot( geometryNormal, geometryViewDir ) );
  vec4 r = rough * vec4( - 1.0, - 0.0275, - 0.572, 0.022 ) + vec4( 1.0, 0.0425, 1.04, - 0.04 );
  float a = min( r.x * r.x, exp2( - 9.28 * facing ) ) * r.x + r.y;
  vec2 share = vec2( - 1.04, 1.04 ) * a + r.zw;
  reflectedLight.indirectSpecular += sky * ( material.specularColorBlended * share.x + share.y );
}
`;
// Behind a section the insides of closed shapes are drawn flat and hatched: it looks like a cap, for
// every line of sight that enters through the cut ends on an inside.
const FRAGMENT_END = `
#include <dithering_fragment>
if ( capColour.a > 0.5 && ! gl_FrontFacing ) {
  float hatch = step( 0.72, fract( ( gl_FragCoord.x + gl_FragCoord.y ) / 9.0 ) );
  gl_FragColor = vec4( capColour.rgb * ( 1.0 - 0.22 * hatch ), 1.0 );
}
`;

/** The few materials of a scene, by class of looks. */
export class Materials {
  #made = new Map();
  #textures = new Map();
  #coming = new Set();
  #planes = [];
  #capped = new THREE.Color(0x8d99a6);

  #sky = {
    skyTop: { value: new THREE.Color() },
    skyHorizon: { value: new THREE.Color() },
    skyGround: { value: new THREE.Color() },
  };

  /** @param {() => void} changed called when a texture has come */
  constructor(changed) {
    this.changed = changed;
  }

  /**
   * Return the material that draws a part.
   *
   * @param {import("./model.js").Part} part
   * @param {import("./model.js").Model} model
   */
  of(part, model) {
    const key = `${part.shape} ${part.look.key}`;
    let material = this.#made.get(key);
    if (material === undefined) {
      material = part.shape === "triangles" ? this.#surface(part, model) : line(part);
      material.clippingPlanes = this.#planes;
      this.#made.set(key, material);
    }
    return material;
  }

  #surface({ look }, model) {
    const material = new THREE.MeshStandardMaterial({
      vertexColors: true,
      roughness: 1,
      metalness: 1,
      side: look.doubleSided ? THREE.DoubleSide : THREE.FrontSide,
      shadowSide: look.doubleSided ? THREE.DoubleSide : THREE.FrontSide,
      transparent: look.blend,
      depthWrite: !look.blend,
      alphaTest: look.cutoff,
    });
    const cap = { value: new THREE.Vector4(0, 0, 0, 0) };
    material.userData = { cap, doubleSided: look.doubleSided, blend: look.blend };
    material.onBeforeCompile = (shader) => patch(shader, cap, this.#sky);
    material.customProgramCacheKey = () => "stagetwin surface";
    for (const [slot, use] of Object.entries(look.textures ?? {})) {
      this.#texture(model, slot, use, material);
    }
    this.#cut(material);
    return material;
  }

  #texture(model, slot, use, material) {
    const colour = slot === "base" || slot === "emissive";
    const key = `${model.key} ${JSON.stringify(use)} ${colour}`;
    let texture = this.#textures.get(key);
    if (texture === undefined) {
      texture = new THREE.Texture();
      this.#textures.set(key, texture);
      this.#load(texture, model.textures[use.index], use, colour);
    }
    if (slot === "base") material.map = texture;
    else if (slot === "normal") {
      material.normalMap = texture;
      material.normalScale.setScalar(use.scale);
    } else if (slot === "surface") {
      material.roughnessMap = texture;
      material.metalnessMap = texture;
    } else if (slot === "emissive") {
      material.emissiveMap = texture;
      material.emissive.setScalar(1);
    } else {
      material.aoMap = texture;
      material.aoMapIntensity = use.scale;
    }
  }

  #load(texture, source, use, colour) {
    if (source === undefined) return;
    const { sampler } = source;
    texture.colorSpace = colour ? THREE.SRGBColorSpace : THREE.NoColorSpace;
    texture.wrapS = WRAPS[sampler.wrapS] ?? THREE.RepeatWrapping;
    texture.wrapT = WRAPS[sampler.wrapT] ?? THREE.RepeatWrapping;
    texture.magFilter = sampler.magFilter === 9728 ? THREE.NearestFilter : THREE.LinearFilter;
    texture.flipY = false;
    texture.channel = use.channel;
    texture.anisotropy = 4;
    if (use.transform !== null) {
      const { offset = [0, 0], rotation = 0, scale = [1, 1] } = use.transform;
      texture.offset.fromArray(offset);
      texture.rotation = rotation;
      texture.repeat.fromArray(scale);
    }
    const image = new Blob([source.bytes], { type: source.mime });
    const coming = createImageBitmap(image, { colorSpaceConversion: "none", premultiplyAlpha: "none" })
      .then((bitmap) => {
        texture.image = bitmap;
        texture.needsUpdate = true;
        this.changed();
      })
      .catch((error) => console.error("a texture cannot be read", error))
      .finally(() => this.#coming.delete(coming));
    this.#coming.add(coming);
  }

  /** @returns {Promise<void>} resolves when no texture is on its way */
  async settled() {
    while (this.#coming.size > 0) await Promise.all(this.#coming);
  }

  /**
   * Cut everything by planes in render space; the array is kept and changed in place.
   *
   * @param {THREE.Plane[]} planes
   */
  cut(planes) {
    const same = planes.length === this.#planes.length;
    this.#planes.length = 0;
    this.#planes.push(...planes);
    if (same) return;
    for (const material of this.#made.values()) this.#cut(material);
  }

  #cut(material) {
    const { cap, doubleSided, blend } = material.userData;
    material.needsUpdate = true;
    if (cap === undefined) return;
    const capped = this.#planes.length > 0 && !doubleSided && !blend;
    const { r, g, b } = this.#capped;
    cap.value.set(r, g, b, capped ? 1 : 0);
    material.side = capped || doubleSided ? THREE.DoubleSide : THREE.FrontSide;
  }

  /**
   * Take the colours of a theme.
   *
   * @param {{mirrored: {top: string, horizon: string, ground: string}, cap: number}} theme
   *   what surfaces mirror, and the colour of what a section cuts through
   */
  setTheme({ mirrored, cap }) {
    this.#sky.skyTop.value.set(mirrored.top);
    this.#sky.skyHorizon.value.set(mirrored.horizon);
    this.#sky.skyGround.value.set(mirrored.ground);
    this.#capped.setHex(cap, THREE.LinearSRGBColorSpace);
    for (const material of this.#made.values()) this.#cut(material);
  }

  /** Forget what no model uses any more. */
  keep(models) {
    const alive = new Set([...models].map((model) => model.key));
    const stale = (key) => {
      const named = key.match(/\{/) ? [...alive].every((name) => !key.includes(name)) : false;
      return named;
    };
    for (const [key, material] of this.#made) {
      if (!stale(key)) continue;
      material.dispose();
      this.#made.delete(key);
    }
    for (const [key, texture] of this.#textures) {
      if ([...alive].some((name) => key.startsWith(`${name} `))) continue;
      texture.image?.close?.();
      texture.dispose();
      this.#textures.delete(key);
    }
  }

  dispose() {
    for (const material of this.#made.values()) material.dispose();
    for (const texture of this.#textures.values()) texture.dispose();
    this.#made.clear();
    this.#textures.clear();
  }
}

function patch(shader, cap, sky) {
  Object.assign(shader.uniforms, sky, { capColour: cap });
  shader.vertexShader = shader.vertexShader
    .replace("#include <common>", `#include <common>${VERTEX_HEAD}`)
    .replace("#include <begin_vertex>", `#include <begin_vertex>${VERTEX_BODY}`);
  shader.fragmentShader = shader.fragmentShader
    .replace("#include <common>", `#include <common>${FRAGMENT_HEAD}`)
    .replace("#include <color_fragment>", FRAGMENT_COLOUR)
    .replace(
      "#include <roughnessmap_fragment>",
      "#include <roughnessmap_fragment>\nroughnessFactor *= vSurface.x;",
    )
    .replace(
      "#include <metalnessmap_fragment>",
      "#include <metalnessmap_fragment>\nmetalnessFactor *= vSurface.y;",
    )
    .replace("#include <emissivemap_fragment>", FRAGMENT_GLOW)
    .replace("#include <lights_fragment_end>", FRAGMENT_MIRRORED)
    .replace("#include <dithering_fragment>", FRAGMENT_END);
}

function line({ shape }) {
  return shape === "lines"
    ? new THREE.LineBasicMaterial({ vertexColors: true })
    : new THREE.PointsMaterial({ vertexColors: true, size: 3, sizeAttenuation: false });
}
