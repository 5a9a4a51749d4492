/**
 * One picture of a stage: asks its own site what is wanted, draws it, and hands the PNG back.
 *
 * Nothing of the viewer's panels is here. The site is made for this one picture (docs/pictures.md).
 */

import { drawLabels } from "./picture_labels.js";
import { View } from "./scene/view.js";

/** Pixels of the drawing buffer that any GPU, and the software one, has. */
const LARGEST = 8192;

try {
  await send("picture.png", await made());
} catch (error) {
  await send("failed", `${error?.message ?? error}`);
}

async function send(name, body) {
  await fetch(name, { method: "POST", body });
}

async function made() {
  const wanted = await (await got("request.json")).json();
  const manifest = await (await got("scene/manifest.json")).json();
  const [width, height] = wanted.size;
  const canvas = document.getElementById("canvas");
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const view = new View(canvas, {
    antialias: true,
    smooth: false,
    pixelRatio: 1,
    theme: wanted.theme,
    transparent: wanted.transparent,
  });
  let fault = null;
  view.on("error", (error) => (fault ??= error));
  await view.load(manifest, async (hash) => (await got(`scene/glb/${hash}.glb`)).arrayBuffer());
  view.setGrid(wanted.grid && !wanted.transparent);
  view.select(wanted.select);
  aim(view, wanted);
  await view.settled();
  if (fault !== null) throw fault;
  const sharp = Math.max(1, Math.min(wanted.samples, LARGEST / width, LARGEST / height));
  const size = { width: Math.round(width * sharp), height: Math.round(height * sharp) };
  const drawing = await createImageBitmap(await view.screenshot(size));
  const still = new OffscreenCanvas(width, height);
  const paper = still.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(drawing, 0, 0, width, height);
  drawLabels(paper, view, wanted);
  return still.convertToBlob({ type: "image/png" });
}

async function got(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: HTTP ${answer.status}`);
  return answer;
}

function aim(view, { camera, select }) {
  if (camera.lens) view.lookThrough(camera, camera.lens);
  else if (camera.position) view.setCamera(camera);
  else {
    if (camera.side !== "fit") view.look(camera.side, { seconds: 0 });
    const shown = select.length > 0 ? select : null;
    if (!view.fit(shown, { seconds: 0 })) throw new Error(`nothing is drawn of ${select}`);
  }
  view.sections.set(camera.sections ?? []);
}
