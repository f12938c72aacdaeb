// What the reader does: choose an edge, a sample, or values of the inputs.

const byId = (id) => document.getElementById(id);
const state = { x: [], depth: 0, row: 0, network: null, sliders: [], outputs: 0 };
const nOut = DATA.outputs.length;
const nIn = DATA.inputs.length;

function showPoint() {
  const { nodes, edges, y } = flow(state.x);
  state.network.edges.forEach((layer, depth) => {
    const largest = edges[depth].reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
    const widest = Math.min(4, 40 / Math.sqrt(layer.length + 1));
    layer.forEach((edge) => {
      const value = edges[depth][edge.row];
      const at = edge.place(nodes[depth][edge.i], value);
      const { x, half } = edge.box;
      const seen = Number.isFinite(value) && Math.abs(at.x - x) <= half.x;
      edge.mark.setAttribute("visibility", seen ? "visible" : "hidden");
      if (seen) edge.mark.setAttribute("transform", `translate(${at.x} ${at.y})`);
      edge.lines.setAttribute("stroke", value < 0 ? ORANGE : BLUE);
      edge.lines.setAttribute("stroke-dasharray", value < 0 ? "5 3" : "none");
      edge.lines.setAttribute("stroke-width", Number.isFinite(value) ? 0.4 + (widest * Math.abs(value)) / largest : 0.4);
    });
  });
  state.network.marks.forEach((row, at) =>
    row.forEach((title, place) => {
      title.textContent = `${nodeName(at, place)} = ${at ? short(nodes[at][place]) : inputText(place, nodes[0][place])}`;
    }),
  );
  byId("prediction").textContent = y.map((value, o) => `${DATA.outputs[o]} = ${short(value)}`).join(", ");
  byId("interval").textContent = intervalText(state.x);
  const outside = y.some(Number.isNaN) ? "A value lies outside the grids, where this network is not defined." : "";
  byId("outside").textContent = outside;
  showEdge(nodes);
}

function showEdge(nodes = flow(state.x).nodes) {
  const layer = LAYERS[state.depth];
  if (!layer.edges.length) return;
  const edge = layer.edges[state.row];
  const [i, o] = [Math.floor(edge / layer.nOut), edge % layer.nOut];
  byId("edge-name").textContent = edgeName(state.depth, edge);
  const symbol = DATA.symbols[`${state.depth},${i},${o}`];
  const facts = [`layer ${state.depth}, edge ${i} to ${o}`, `score ${short(layer.scores[state.row])}`];
  if (symbol) facts.push(`its function is ${symbol[1]} of u = ${nodeName(state.depth, i)}`);
  facts.push(`${layer.G} intervals, degree ${layer.k}, base ${layer.base}, outside ${layer.policy}`);
  byId("edge-facts").textContent = `${facts.join("; ")}.`;
  drawEdgePanel(byId("edge-plot"), state.depth, state.row, nodes[state.depth][i]);
}

function chooseEdge(edge, focus = true) {
  for (const layer of state.network.edges)
    for (const other of layer) {
      other.group.setAttribute("tabindex", other === edge ? "0" : "-1");
      other.group.setAttribute("aria-pressed", other === edge);
      other.group.classList.toggle("chosen", other === edge);
    }
  Object.assign(state, { depth: edge.depth, row: edge.row });
  if (focus) edge.group.focus({ preventScroll: false });
  showEdge();
}

function moveEdge(edge, key) {
  const layer = state.network.edges[edge.depth];
  const place = layer.indexOf(edge);
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (sideways) return layer[place + sideways];
  const next = state.network.edges[edge.depth + { ArrowUp: 1, ArrowDown: -1 }[key]];
  return next && next[Math.round((place / Math.max(layer.length - 1, 1)) * (next.length - 1))];
}

function drawAll() {
  state.network = drawNetwork(byId("network"), Number(byId("most").value));
  for (const edge of state.network.edges.flat()) {
    edge.group.addEventListener("click", () => chooseEdge(edge));
    edge.group.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      const next = moveEdge(edge, event.key);
      if (next) chooseEdge(next);
    });
  }
  const edges = state.network.edges.flat();
  const kept = edges.find((edge) => edge.depth === state.depth && edge.row === state.row) || edges[0];
  if (kept) chooseEdge(kept, false);
  showPoint();
}

// --- inputs and samples

function setInputs(x) {
  state.x = Array.from(x);
  state.sliders.forEach((slider, i) => {
    slider.input.value = state.x[i];
    slider.text.textContent = inputText(i, state.x[i]);
    slider.input.setAttribute("aria-valuetext", slider.text.textContent);
  });
  showPoint();
}

function makeSliders() {
  const first = LAYERS[0];
  DATA.inputs.forEach((name, i) => {
    const label = element("label", byId("sliders"), undefined, { class: "slider" });
    element("span", label, name);
    const margin = 0.25 * (first.high[i] - first.low[i]);
    const input = element("input", label, undefined, { type: "range", step: "any" });
    Object.assign(input, { min: first.low[i] - margin, max: first.high[i] + margin });
    const text = element("output", label);
    state.sliders.push({ input, text });
    input.addEventListener("input", () => {
      const x = state.x.slice();
      x[i] = Number(input.value);
      setInputs(x);
    });
  });
}

const sampleInputs = (s) => SAMPLES.x.subarray(s * nIn, (s + 1) * nIn);

function drawSamples() {
  const svg = byId("samples");
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${PLOT.width} ${PLOT.height}`);
  const o = Number(byId("output").value);
  const column = DATA.labels ? 0 : o;
  const wide = DATA.labels ? 1 : nOut;
  const points = Array.from({ length: SAMPLES.count }, (_, s) => ({
    s, truth: SAMPLES.y[s * wide + column], prediction: SAMPLES.prediction[s * nOut + o],
  }));
  const ranges = [rangeOf(points, "truth"), rangeOf(points, "prediction")];
  const across = scaleOf(ranges[0], [PLOT.left + 6, PLOT.width - PLOT.right - 6]);
  const up = scaleOf(ranges[1], [PLOT.height - PLOT.bottom - 6, PLOT.top + 6]);
  drawAxes(svg, across, up, ranges);
  const title = DATA.labels ? "class (across), output (up)" : "truth (across), prediction (up)";
  make("text", { x: PLOT.width / 2, y: PLOT.height - 6, class: "tick", "text-anchor": "middle" }, svg, title);
  const order = points.filter((each) => Number.isFinite(each.truth + each.prediction)).sort((a, b) => a.truth - b.truth);
  const dots = order.map(({ s, truth, prediction }, place) => {
    const label = `sample ${DATA.samples.numbers[s]}: truth ${short(truth)}, prediction ${short(prediction)}`;
    const attributes = { cx: across(truth), cy: up(prediction), r: 4, class: "sample", role: "button" };
    const dot = make("circle", { ...attributes, tabindex: place ? "-1" : "0", "aria-label": label }, svg);
    make("title", {}, dot, label);
    const choose = () => {
      dots.forEach((other) => other.classList.toggle("chosen", other === dot));
      byId("sample-text").textContent = label;
      setInputs(sampleInputs(s));
    };
    dot.addEventListener("mouseenter", choose);
    dot.addEventListener("click", choose);
    dot.addEventListener("focus", choose);
    dot.addEventListener("keydown", (event) => {
      const next = dots[place + ({ ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key] || NaN)];
      if (!next) return;
      event.preventDefault();
      dot.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
    return dot;
  });
}

// --- tables

function fillTable(id, head, rows) {
  const table = byId(id);
  const line = element("tr", element("thead", table));
  head.forEach((text) => element("th", line, text, { scope: "col" }));
  const body = element("tbody", table);
  for (const row of rows) {
    const tr = element("tr", body);
    row.forEach((text) => element("td", tr, text));
  }
}

function fillTables() {
  const scores = LAYERS.flatMap((layer, depth) =>
    Array.from(layer.edges, (edge, row) => [depth, edgeName(depth, edge), layer.scores[row]]),
  ).sort((a, b) => b[2] - a[2]);
  const named = scores.slice(0, 200).map(([depth, name, score]) => [depth, name, short(score)]);
  fillTable("scores", ["layer", "edge", "score"], named);
  const coverage = DATA.coverage.map(([row, place, outside, empty]) =>
    [row, nodeName(row, place), `${short(100 * outside)} %`, empty]);
  fillTable("coverage", ["layer", "input", "outside the grid", "empty spans"], coverage);
  if (DATA.stages.length) {
    const rows = DATA.stages.map(([grid, steps, loss, validation, ended]) =>
      [grid, steps, short(loss), validation === null ? "none" : short(validation), ended]);
    fillTable("stages", ["grid", "steps", "loss", "validation", "ended"], rows);
  }
  byId("stages-none").hidden = DATA.stages.length > 0;
}

function tellNotes() {
  const notes = [...DATA.notes];
  if (DATA.dropped) {
    let most = 0;
    for (let s = 0; s < SAMPLES.count; s += 1)
      predict(sampleInputs(s)).forEach((value, o) => {
        most = Math.max(most, Math.abs(value - SAMPLES.prediction[s * nOut + o]));
      });
    notes.push(`Without them, predictions at the samples here differ from the network's by up to ${short(most)}.`);
  }
  notes.forEach((note) => element("li", byId("notes"), note));
}

function begin() {
  DATA.outputs.forEach((name, o) => element("option", byId("output"), name, { value: o }));
  byId("output").parentElement.hidden = nOut === 1;
  byId("output").addEventListener("change", drawSamples);
  const most = Math.max(...LAYERS.map((layer) => layer.edges.length), 1);
  Object.assign(byId("most"), { min: 1, max: most, value: Math.min(most, 150) });
  const tell = () => { byId("most-text").textContent = `${byId("most").value} of ${most}`; };
  byId("most").addEventListener("input", () => { tell(); drawAll(); });
  tell();
  makeSliders();
  state.x = Array.from(sampleInputs(0));
  drawAll();
  setInputs(state.x);
  drawSamples();
  fillTables();
  tellNotes();
  window.addEventListener("resize", drawAll);
}

begin();
