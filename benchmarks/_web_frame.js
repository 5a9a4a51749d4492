// The page of web_frame.py: draws the same plant by the viewer's engine, or plainly in three.js.
import { decodeFrame, Kind } from "/js/core/frames.js";
import { Values } from "/js/core/values.js";
import { readGlb } from "/js/scene/glb.js";
import { View } from "/js/scene/view.js";
import * as THREE from "/vendor/three/three.module.js";

const canvas = document.getElementById("canvas");
const fetched = (path) => fetch(path).then((answer) => answer.arrayBuffer());
const glb = (hash) => fetched(`/scene/glb/${hash}.glb`);
const manifest = async () => (await fetch("/scene/manifest.json")).json();
const frames = async (count, kind) =>
  Promise.all(Array.from({ length: count }, (_, i) => fetched(`/frames/${i}.${kind}`)));

// A pixel read back waits until everything drawn is done: what the graphics side still has to do
// must not be found in the next frame's time.
function finish(gl) {
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
}

const turn = () => new Promise((resolve) => requestAnimationFrame(resolve));

window.ours = async (channels, movers, count) => {
  const view = new View(canvas, { antialias: false, pixelRatio: 1 });
  await view.load(await manifest(), glb);
  const values = new Values();
  values.bind(channels);
  view.feed.setTable(movers, [], channels);
  const messages = await frames(count, "bin");
  const gl = view.picture.renderer.getContext();
  const times = [];
  let calls = 0;
  for (const message of messages) {
    const began = performance.now();
    const frame = decodeFrame(message);
    values.apply(frame);
    view.feed.apply(frame);
    const taken = performance.now() - began;
    await turn();
    await turn();
    times.push(taken + view.stats.jsLast);
    // With the sun's shadows, which are drawn anew eight times a second.
    calls = Math.max(calls, view.stats.drawCalls);
    finish(gl);
  }
  await view.idle();
  const read = (path) => view.poseOf(path).slice(12, 15);
  return {
    times,
    calls,
    triangles: view.stats.triangles,
    last: [read(movers[0].path), read(movers.at(-1).path)],
    values: [values.get(channels[0].path).value, values.get(channels.at(-1).path).value],
  };
};

// One Object3D a node, one Mesh a primitive, one entry of a Map a signal: as one would begin.
async function plainScene(page) {
  const root = new THREE.Group();
  root.rotation.x = -Math.PI / 2;
  const files = new Map();
  for (const hash of new Set(page.nodes.map((node) => node.glb).filter(Boolean))) {
    files.set(hash, plainFile(readGlb(await glb(hash))));
  }
  const nodes = [];
  const byPath = new Map();
  for (const node of page.nodes) {
    const object = new THREE.Group();
    new THREE.Matrix4().fromArray(node.matrix).decompose(object.position, object.quaternion, object.scale);
    (node.parent < 0 ? root : nodes[node.parent]).add(object);
    if (node.glb) object.add(files.get(node.glb).clone());
    nodes.push(object);
    byPath.set(node.path, object);
  }
  return { root, byPath };
}

function plainFile({ nodes, materials }) {
  const looks = materials.map((material) => {
    const { baseColorFactor = [1, 1, 1, 1], roughnessFactor = 1, metallicFactor = 1 } =
      material.pbrMetallicRoughness ?? {};
    return new THREE.MeshStandardMaterial({
      color: new THREE.Color(...baseColorFactor.slice(0, 3)),
      roughness: roughnessFactor,
      metalness: metallicFactor,
    });
  });
  const objects = [];
  for (const node of nodes) {
    const object = new THREE.Group();
    new THREE.Matrix4().fromArray(node.matrix).decompose(object.position, object.quaternion, object.scale);
    if (node.parent >= 0) objects[node.parent].add(object);
    for (const primitive of node.hidden ? [] : node.primitives) {
      const geometry = new THREE.BufferGeometry();
      geometry.setAttribute("position", new THREE.BufferAttribute(primitive.positions, 3));
      if (primitive.normals) {
        geometry.setAttribute("normal", new THREE.BufferAttribute(primitive.normals, 3));
      }
      geometry.setIndex(new THREE.BufferAttribute(primitive.index, 1));
      object.add(new THREE.Mesh(geometry, looks[primitive.material]));
    }
    objects.push(object);
  }
  return objects[0];
}

window.naive = async (channels, movers, count) => {
  const renderer = new THREE.WebGLRenderer({ canvas });
  renderer.setSize(canvas.clientWidth, canvas.clientHeight, false);
  const scene = new THREE.Scene();
  const page = await manifest();
  const { root, byPath } = await plainScene(page);
  scene.add(root, new THREE.HemisphereLight(0xffffff, 0x808080, 2), new THREE.DirectionalLight());
  const camera = new THREE.PerspectiveCamera(42, canvas.clientWidth / canvas.clientHeight, 1, 2000);
  camera.position.set(-150, 120, 150);
  camera.lookAt(0, 0, 0);
  const known = new Map();
  const messages = (await frames(count, "json")).map((bytes) => new TextDecoder().decode(bytes));
  const gl = renderer.getContext();
  renderer.render(scene, camera);
  finish(gl);
  const times = [];
  for (const message of messages) {
    const began = performance.now();
    const { values, poses } = JSON.parse(message);
    for (const { path, value, time, quality } of values) known.set(path, { value, time, quality });
    for (const { path, position, orientation } of poses) {
      const object = byPath.get(path);
      object.position.set(...position);
      object.quaternion.set(...orientation);
    }
    renderer.render(scene, camera);
    times.push(performance.now() - began);
    finish(gl);
    await turn();
  }
  const read = (path) => byPath.get(path).position.toArray();
  return {
    times,
    calls: renderer.info.render.calls,
    triangles: renderer.info.render.triangles,
    last: [read(movers[0].path), read(movers.at(-1).path)],
    values: [known.get(channels[0].path).value, known.get(channels.at(-1).path).value],
  };
};

window.ready = Kind.NONE === 0;
