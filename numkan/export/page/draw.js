// The network as SVG: nodes in rows, inputs at the bottom, and a small curve for every edge.

const SVG = "http://www.w3.org/2000/svg";
const BLUE = "#0072B2";
const ORANGE = "#D55E00";

function make(tag, attributes, parent, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text; // never markup: names are the user's
  if (parent) parent.append(node);
  return node;
}

function element(tag, parent, text, attributes = {}) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const short = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "not defined");
const inputText = (i, x) => short(DATA.units[i][0] + DATA.units[i][1] * x);

function nodeName(row, place) {
  if (row === 0) return DATA.inputs[place];
  return row === LAYERS.length ? DATA.outputs[place] : `node ${place} of row ${row}`;
}

const edgeName = (depth, edge) => {
  const layer = LAYERS[depth];
  return `${nodeName(depth, Math.floor(edge / layer.nOut))} → ${nodeName(depth + 1, edge % layer.nOut)}`;
};

// Points of an edge's curve over the range of the samples.
function curvePoints(layer, row, low, high, count) {
  return Array.from({ length: count }, (_, at) => {
    const x = low + ((high - low) * at) / (count - 1);
    const { base, spline } = edgeParts(layer, row, x);
    return { x, base, spline, y: base + spline };
  });
}

const rangeOf = (points, key = "y") => {
  const finite = points.map((point) => point[key]).filter(Number.isFinite);
  return finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 0];
};

const NARROWEST = 17; // pixels that a box has to stand in

// The boxes of the strongest edges of a layer, folded into rows where they are many.
function boxesOf(layer, most, width, bottom, height) {
  const strongest = Array.from(layer.edges.keys()).sort((a, b) => layer.scores[b] - layer.scores[a]);
  const shown = strongest.slice(0, most).sort((a, b) => layer.edges[a] - layer.edges[b]);
  const rows = Math.max(1, Math.ceil(shown.length / Math.floor(width / NARROWEST)));
  const pitch = width / (Math.ceil(shown.length / rows) + (rows - 1) / rows);
  const step = rows > 1 ? (0.6 * height) / (rows - 1) : 0;
  const half = { x: Math.min(0.36 * pitch, 34), y: rows > 1 ? Math.min(18, 0.42 * step) : 20 };
  return shown.map((row, place) => ({
    row,
    x: (Math.floor(place / rows) + 0.5 + (place % rows) / rows) * pitch,
    y: bottom - (rows > 1 ? 0.2 * height + step * (place % rows) : 0.5 * height),
    half,
  }));
}

function drawEdge(parent, depth, box, below, above, opacity) {
  const layer = LAYERS[depth];
  const edge = layer.edges[box.row];
  const i = Math.floor(edge / layer.nOut);
  const label = `${edgeName(depth, edge)}, score ${short(layer.scores[box.row])}`;
  const group = make("g", { class: "edge", role: "button", tabindex: "-1", "aria-label": label }, parent);
  const path = `M${below.x},${below.y}L${box.x},${box.y + box.half.y}M${box.x},${box.y - box.half.y}L${above.x},${above.y}`;
  const lines = make("path", { d: path, class: "line", stroke: "#8c8c8c", opacity }, group);
  const corner = { x: box.x - box.half.x, y: box.y - box.half.y, width: 2 * box.half.x, height: 2 * box.half.y };
  make("rect", { ...corner, class: "box" }, group);
  const points = curvePoints(layer, box.row, layer.low[i], layer.high[i], 31);
  const [low, high] = rangeOf(points);
  const place = (x, y) => ({
    x: box.x + 1.64 * box.half.x * ((x - layer.low[i]) / (layer.high[i] - layer.low[i]) - 0.5),
    y: box.y - (high > low ? 1.64 * box.half.y * ((y - low) / (high - low) - 0.5) : 0),
  });
  const there = points.filter((point) => Number.isFinite(point.y)).map((point) => place(point.x, point.y));
  make("polyline", { points: there.map((at) => `${at.x},${at.y}`).join(" "), class: "curve", opacity }, group);
  const symbol = DATA.symbols[`${depth},${i},${edge % layer.nOut}`];
  if (symbol) make("text", { x: box.x, y: box.y - box.half.y - 3, class: "symbol" }, group, symbol[0]);
  const mark = make("circle", { r: 3, class: "mark" }, group);
  make("title", {}, group, label);
  return { group, lines, mark, place, depth, row: box.row, i, box, opacity };
}

function drawNames(parent, nodes, width) {
  for (const [row, side] of [[0, 1], [LAYERS.length, -1]]) {
    const room = width / nodes[row].length;
    const longest = Math.max(...nodes[row].map((_, place) => nodeName(row, place).length));
    const turned = longest * 7 > room;
    nodes[row].forEach((at, place) => {
      const name = nodeName(row, place);
      const y = at.y + side * 14 + (side > 0 && !turned ? 6 : 0);
      const attributes = { x: at.x, y, class: "name", "text-anchor": "middle" };
      if (turned) Object.assign(attributes, { transform: `rotate(-90 ${at.x} ${y})`, "dominant-baseline": "central" });
      if (turned) attributes["text-anchor"] = side > 0 ? "end" : "start";
      const text = make("text", attributes, parent, name.length > 26 ? `${name.slice(0, 25)}…` : name);
      make("title", {}, text, name);
    });
  }
}

// Room for names of this many letters, above or below the network.
const roomFor = (names, width) => {
  const longest = Math.min(26, Math.max(...names.map((name) => name.length)));
  return longest * 7 > width / names.length ? 24 + 6.5 * longest : 36;
};

function drawNetwork(svg, most) {
  svg.replaceChildren();
  const widest = Math.max(...DATA.width);
  const width = Math.max(svg.parentElement.clientWidth - 12, 15 * widest, 280);
  const margin = { top: roomFor(DATA.outputs, width), bottom: roomFor(DATA.inputs, width) };
  const heights = LAYERS.map((layer) => {
    const rows = Math.ceil(Math.min(most, layer.edges.length) / Math.floor(width / NARROWEST));
    return 130 + 30 * (Math.max(rows, 1) - 1);
  });
  const total = heights.reduce((a, b) => a + b, 0);
  const height = total + margin.top + margin.bottom;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  let up = height - margin.bottom;
  const nodes = DATA.width.map((count, row) => {
    if (row > 0) up -= heights[row - 1];
    return Array.from({ length: count }, (_, place) => ({ x: ((place + 0.5) * width) / count, y: up }));
  });
  const edges = LAYERS.map((layer, depth) => {
    const largest = Math.max(...layer.scores, 1e-300);
    return boxesOf(layer, most, width, nodes[depth][0].y, heights[depth]).map((box) => {
      const edge = layer.edges[box.row];
      const ends = [nodes[depth][Math.floor(edge / layer.nOut)], nodes[depth + 1][edge % layer.nOut]];
      const opacity = 0.2 + 0.8 * Math.sqrt(layer.scores[box.row] / largest);
      return drawEdge(svg, depth, box, ...ends, opacity);
    });
  });
  const marks = nodes.map((row, at) =>
    row.map((node, place) => {
      const circle = make("circle", { cx: node.x, cy: node.y, r: row.length > 30 ? 3 : 5, class: "node" }, svg);
      return make("title", {}, circle, nodeName(at, place));
    }),
  );
  drawNames(svg, nodes, width);
  return { edges, marks };
}
