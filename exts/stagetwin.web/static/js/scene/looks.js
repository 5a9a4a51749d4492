/**
 * What a material of a GLB says, in the few numbers that a vertex carries.
 *
 * Colour, opacity, roughness, metalness and emission go into vertex attributes, so that everything
 * untextured of a plant shares one of a few materials and few draw calls.
 */

const PLAIN = Object.freeze({
  colour: [0.6, 0.6, 0.6, 1],
  roughness: 0.7,
  metalness: 0,
  emission: [0, 0, 0],
  strength: 0,
  textures: null,
  doubleSided: false,
  blend: false,
  cutoff: 0,
  key: "solid",
});

/** The brightest emission a vertex carries; the attribute is a byte. */
export const EMISSION_RANGE = 8;

/**
 * @typedef {object} Look
 * @property {number[]} colour linear RGBA
 * @property {number} roughness
 * @property {number} metalness
 * @property {number[]} emission linear RGB up to 1
 * @property {number} strength that multiplies the emission
 * @property {object|null} textures indices of textures by slot
 * @property {boolean} doubleSided
 * @property {boolean} blend
 * @property {number} cutoff of alpha; 0 for none
 * @property {string} key of the class of materials that draws it; textured ones are the file's own
 */

/**
 * @param {object[]} materials of a glTF file
 * @param {string} file unique name of the file
 * @returns {(i: number) => Look}
 */
export function looksOf(materials, file) {
  const looks = materials.map((material) => readLook(material, file));
  return (i) => looks[i] ?? PLAIN;
}

function readLook(material, file) {
  const pbr = material.pbrMetallicRoughness ?? {};
  const colour = [...(pbr.baseColorFactor ?? [1, 1, 1, 1])];
  const textures = readTextures(material, pbr);
  const blend = material.alphaMode === "BLEND";
  const cutoff = material.alphaMode === "MASK" ? (material.alphaCutoff ?? 0.5) : 0;
  if (!blend && cutoff === 0) colour[3] = 1;
  const emission = material.emissiveFactor ?? [0, 0, 0];
  const strength = material.extensions?.KHR_materials_emissive_strength?.emissiveStrength ?? 1;
  const look = {
    colour,
    roughness: pbr.roughnessFactor ?? 1,
    metalness: pbr.metallicFactor ?? 1,
    emission,
    strength: emission.some((c) => c > 0) || textures?.emissive ? strength : 0,
    textures,
    doubleSided: material.doubleSided === true,
    blend,
    cutoff,
    key: "",
  };
  const kind = blend ? "blend" : cutoff > 0 ? `mask ${cutoff}` : "solid";
  const side = look.doubleSided ? " double" : "";
  const image = textures === null ? "" : ` ${file} ${JSON.stringify(textures)}`;
  look.key = kind + side + image;
  return look;
}

function readTextures(material, pbr) {
  const slots = {
    base: pbr.baseColorTexture,
    surface: pbr.metallicRoughnessTexture,
    normal: material.normalTexture,
    occlusion: material.occlusionTexture,
    emissive: material.emissiveTexture,
  };
  const used = {};
  for (const [slot, texture] of Object.entries(slots)) {
    if (texture === undefined) continue;
    used[slot] = {
      index: texture.index,
      channel: texture.extensions?.KHR_texture_transform?.texCoord ?? texture.texCoord ?? 0,
      transform: texture.extensions?.KHR_texture_transform ?? null,
      scale: texture.scale ?? texture.strength ?? 1,
    };
  }
  return Object.keys(used).length > 0 ? used : null;
}
