/**
 * Values beside what they are of: a card for each asset in sight, none over another.
 */

const FONT = '"Liberation Sans", "Noto Sans", system-ui, sans-serif';
const COLOURS = {
  dark: {
    card: "rgb(18 21 24 / 88%)", edge: "#4a545e", text: "#e7eaed", muted: "#a4afba", line: "#d7dde2",
    good: "#b9c2ca", uncertain: "#ffc55c", bad: "#ff8f8f", stale: "#c3b2ff",
    critical: "#ff8f8f", high: "#ffab66", medium: "#f2d061", low: "#8fcbe4",
  },
  light: {
    card: "rgb(255 255 255 / 92%)", edge: "#a9b3bc", text: "#171c21", muted: "#505b66", line: "#2c343b",
    good: "#505b66", uncertain: "#7a4d00", bad: "#a3161f", stale: "#5c4a8a",
    critical: "#a3161f", high: "#8f3c00", medium: "#6e5200", low: "#2c5c73",
  },
};
const LOOKS_ACROSS = 7;
const MARGIN = 10;

/**
 * Draw the cards and, below, of when they are.
 *
 * @param {OffscreenCanvasRenderingContext2D} paper
 * @param {import("./scene/view.js").View} view
 * @param {object} wanted the request, as docs/pictures.md has it
 */
export function drawLabels(paper, view, { labels, select, caption, most, theme, size }) {
  const colours = COLOURS[theme] ?? COLOURS.dark;
  const scale = Math.min(Math.max(Math.min(size[0] / 1600, size[1] / 900), 0.8), 2.5);
  const cards = [];
  const seen = anchored(labels, select, view, size);
  for (const label of seen.slice(0, most)) cards.push(measured(paper, label, scale));
  const placed = place(cards, seen, size, scale);
  for (const card of placed) drawLeader(paper, card, colours, scale);
  for (const card of placed) drawCard(paper, card, colours, scale);
  const left = seen.length - placed.length;
  const more = left > 0 ? `${left} more ${left === 1 ? "asset is" : "assets are"} in sight` : "";
  drawCaption(paper, [caption, more].filter(Boolean).join(" · "), colours, scale, size);
}

// -- anchors

/** Find where each asset can be seen: what is selected first, then alarms, then the nearest. */
function anchored(labels, select, view, [width, height]) {
  const paths = new Set(labels.map(({ path }) => path));
  const out = [];
  for (const label of labels) {
    const bounds = view.bounds(label.path);
    const box = bounds && boxOf(bounds, view, width, height);
    if (!box) continue;
    const at = visiblePlace(box, label.path, paths, view);
    if (at !== null) out.push({ ...label, ...at, box });
  }
  const urgent = ({ path, alarm }) => (select.includes(path) ? 0 : alarm ? 1 : 2);
  return out.sort((a, b) => urgent(a) - urgent(b) || a.distance - b.distance);
}

function boxOf([low, high], view, width, height) {
  let box = null;
  for (let corner = 0; corner < 8; corner++) {
    const point = low.map((value, k) => ((corner >> k) & 1 ? high[k] : value));
    const { x, y, depth } = view.project(point);
    if (depth <= 0) return null;
    box ??= [x, y, x, y];
    box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  }
  const cut = [Math.max(box[0], 0), Math.max(box[1], 0), Math.min(box[2], width), Math.min(box[3], height)];
  return cut[2] - cut[0] >= 2 && cut[3] - cut[1] >= 2 ? cut : null;
}

/** The place nearest to the middle of its box where the asset itself is what is seen. */
function visiblePlace([left, top, right, bottom], path, paths, view) {
  const places = [];
  for (let i = 0; i < LOOKS_ACROSS; i++) {
    for (let k = 0; k < LOOKS_ACROSS; k++) {
      const u = (i + 0.5) / LOOKS_ACROSS;
      const v = (k + 0.5) / LOOKS_ACROSS;
      places.push({ u, v, away: Math.hypot(u - 0.5, (v - 0.45) * 0.7) });
    }
  }
  places.sort((a, b) => a.away - b.away);
  let second = null;
  for (const { u, v } of places) {
    const x = left + u * (right - left);
    const y = top + v * (bottom - top);
    const hit = view.pick(x, y);
    if (hit === null || !isBelow(hit.path, path)) continue;
    if (ownerOf(hit.path, paths) === path) return { x, y, distance: hit.distance };
    second ??= { x, y, distance: hit.distance };
  }
  return second;
}

function isBelow(path, root) {
  return path === root || path.startsWith(`${root}/`);
}

function ownerOf(path, paths) {
  for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) if (paths.has(at)) return at;
  return "";
}

// -- places

function measured(paper, label, scale) {
  const row = 17 * scale;
  paper.font = `600 ${13 * scale}px ${FONT}`;
  let width = paper.measureText(label.name).width + (label.alarm ? 14 * scale : 0);
  const columns = [0, 0];
  for (const { name, value, unit } of label.rows) {
    paper.font = `${12 * scale}px ${FONT}`;
    columns[0] = Math.max(columns[0], paper.measureText(name).width);
    const units = unit ? paper.measureText(` ${unit}`).width : 0;
    paper.font = `600 ${12 * scale}px ${FONT}`;
    columns[1] = Math.max(columns[1], paper.measureText(value).width + units);
  }
  width = Math.max(width, columns[0] + columns[1] + 28 * scale);
  const lines = 1 + label.rows.length + (label.more > 0 ? 1 : 0);
  return { ...label, width: width + 16 * scale, height: lines * row + 9 * scale, row };
}

/** Give each card the best free place around its anchor; those without one are left out. */
function place(cards, seen, [width, height], scale) {
  const placed = [];
  const floor = height - 24 * scale;
  for (const card of cards) {
    let best = null;
    for (const { left, top, cost } of places(card, scale)) {
      if (best !== null && cost >= best.cost) continue;
      if (left < MARGIN || top < MARGIN) continue;
      if (left + card.width > width - MARGIN || top + card.height > floor) continue;
      const spot = { ...card, left, top };
      spot.tip = tipOf(spot);
      const sum = cost + costAmong(spot, placed, cards) + hiddenBy(spot, seen);
      if (best === null || sum < best.cost) best = { cost: sum, spot };
    }
    if (best !== null && best.cost < 1e6) placed.push(best.spot);
  }
  return placed;
}

function* places({ x, y, width, height }, scale) {
  for (const away of [30, 50, 80, 120, 170, 230, 300, 380]) {
    for (let turn = 0; turn < 16; turn++) {
      const angle = -Math.PI / 2 + (turn % 2 ? 1 : -1) * Math.ceil(turn / 2) * (Math.PI / 8);
      const cx = x + Math.cos(angle) * (away * scale + width / 2);
      const cy = y + Math.sin(angle) * (away * scale + height / 2);
      const cost = away + Math.abs(angle + Math.PI / 2) * 12;
      yield { left: Math.round(cx - width / 2), top: Math.round(cy - height / 2), cost };
    }
  }
}

function tipOf({ x, y, left, top, width, height }) {
  return [Math.min(Math.max(x, left), left + width), Math.min(Math.max(y, top), top + height)];
}

function costAmong(spot, placed, cards) {
  let cost = 0;
  for (const other of placed) {
    if (overlaps(spot, other, 4)) return Infinity;
    if (crosses([spot.x, spot.y, ...spot.tip], other)) return Infinity;
    if (crosses([other.x, other.y, ...other.tip], spot)) return Infinity;
    if (cross([spot.x, spot.y], spot.tip, [other.x, other.y], other.tip)) cost += 200;
  }
  // Better not to hide what other cards point at, placed already or not.
  for (const { x, y } of cards) {
    if (x > spot.left - 4 && x < spot.left + spot.width + 4 && y > spot.top - 4 && y < spot.top + spot.height + 4) {
      cost += 150;
    }
  }
  return cost;
}

/** How much of the assets in sight a card hides; its own, more than others. */
function hiddenBy(spot, seen) {
  let cost = 0;
  for (const { path, box } of seen) {
    const [left, top, right, bottom] = box;
    const wide = Math.min(right, spot.left + spot.width) - Math.max(left, spot.left);
    const tall = Math.min(bottom, spot.top + spot.height) - Math.max(top, spot.top);
    if (wide <= 0 || tall <= 0) continue;
    const least = Math.min((right - left) * (bottom - top), spot.width * spot.height);
    cost += ((wide * tall) / least) * (path === spot.path ? 240 : 120);
  }
  return cost;
}

/** Whether two lines cross. */
function cross(a, b, c, d) {
  const side = (p, q, r) => Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

function overlaps(a, b, gap) {
  return (
    a.left < b.left + b.width + gap && b.left < a.left + a.width + gap &&
    a.top < b.top + b.height + gap && b.top < a.top + a.height + gap
  );
}

/** Whether a line passes through a card (Liang and Barsky's clipping). */
function crosses([x0, y0, x1, y1], { left, top, width, height }) {
  let enter = 0;
  let leave = 1;
  for (const [step, room] of [
    [x0 - x1, x0 - left], [x1 - x0, left + width - x0],
    [y0 - y1, y0 - top], [y1 - y0, top + height - y0],
  ]) {
    if (step === 0) {
      if (room < 0) return false;
    } else if (step < 0) enter = Math.max(enter, room / step);
    else leave = Math.min(leave, room / step);
  }
  return enter < leave;
}

// -- drawing

function drawLeader(paper, { x, y, tip, alarm }, colours, scale) {
  paper.lineWidth = 1.4 * scale;
  paper.strokeStyle = paper.fillStyle = alarm ? colours[alarm] : colours.line;
  paper.beginPath();
  paper.moveTo(x, y);
  paper.lineTo(...tip);
  paper.stroke();
  paper.beginPath();
  paper.arc(x, y, 3.2 * scale, 0, 2 * Math.PI);
  paper.fill();
}

function drawCard(paper, card, colours, scale) {
  const { left, top, width, height, row, alarm } = card;
  paper.beginPath();
  paper.roundRect(left, top, width, height, 5 * scale);
  paper.fillStyle = colours.card;
  paper.fill();
  paper.lineWidth = (alarm ? 2 : 1) * scale;
  paper.strokeStyle = alarm ? colours[alarm] : colours.edge;
  paper.stroke();
  paper.textBaseline = "alphabetic";
  const inner = left + 8 * scale;
  let line = top + 16.5 * scale;
  paper.font = `600 ${13 * scale}px ${FONT}`;
  paper.fillStyle = colours.text;
  paper.fillText(card.name, inner, line);
  if (alarm) {
    paper.fillStyle = colours[alarm];
    triangle(paper, left + width - 15 * scale, line - 10 * scale, 9 * scale);
  }
  for (const entry of card.rows) {
    line += row;
    drawRow(paper, entry, inner, left + width - 8 * scale, line, colours, scale);
  }
  if (card.more > 0) {
    line += row;
    paper.font = `${11 * scale}px ${FONT}`;
    paper.fillStyle = colours.muted;
    paper.fillText(`${card.more} more`, inner + 11 * scale, line);
  }
}

// Quality by shape and colour: filled for good, ringed for none, square for what is not to be trusted.
function drawRow(paper, { name, value, unit, quality }, left, right, line, colours, scale) {
  const x = left + 3.5 * scale;
  const y = line - 4 * scale;
  const colour = colours[quality] ?? colours.muted;
  paper.fillStyle = paper.strokeStyle = colour;
  paper.beginPath();
  if (quality === "good" || quality === "") paper.arc(x, y, 2.8 * scale, 0, 2 * Math.PI);
  else paper.rect(x - 3 * scale, y - 3 * scale, 6 * scale, 6 * scale);
  paper.lineWidth = 1.2 * scale;
  if (quality === "" || quality === "stale") paper.stroke();
  else paper.fill();
  paper.font = `${12 * scale}px ${FONT}`;
  paper.fillStyle = colours.muted;
  paper.fillText(name, left + 11 * scale, line);
  const units = unit ? paper.measureText(` ${unit}`).width : 0;
  if (unit) paper.fillText(` ${unit}`, right - units, line);
  paper.font = `600 ${12 * scale}px ${FONT}`;
  paper.fillStyle = quality === "good" || quality === "" ? colours.text : colour;
  paper.fillText(value, right - units - paper.measureText(value).width, line);
}

function triangle(paper, x, y, size) {
  paper.beginPath();
  paper.moveTo(x + size / 2, y);
  paper.lineTo(x + size, y + size);
  paper.lineTo(x, y + size);
  paper.fill();
}

function drawCaption(paper, text, colours, scale, [, height]) {
  if (!text) return;
  paper.font = `${11.5 * scale}px ${FONT}`;
  const width = paper.measureText(text).width + 14 * scale;
  paper.fillStyle = colours.card;
  paper.fillRect(0, height - 20 * scale, width, 20 * scale);
  paper.fillStyle = colours.muted;
  paper.fillText(text, 7 * scale, height - 6 * scale);
}
