// The network, as Python has written it down: tables of piecewise polynomials, coefficients, base functions.

const numbers = (text, Kind) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
};

const DATA = JSON.parse(document.getElementById("data").textContent);

// Tables whose numbers are of double precision, and of integers.
function decoded(table, doubles, integers) {
  const out = { ...table };
  for (const name of doubles) out[name] = numbers(table[name], Float64Array);
  for (const name of integers) out[name] = numbers(table[name], Int32Array);
  return out;
}

const CURVES = ["breaks", "centre", "inverse", "poly"];

const LAYERS = DATA.layers.map((layer) => {
  const doubles = [...CURVES, "coef", "weight", "offset", "scores", "knots", "low", "high"];
  const out = decoded(layer, doubles, ["first", "edges", "counts"]);
  out.baseFunction = BASE[layer.base];
  out.row = new Map([...out.edges].map((edge, row) => [edge, row])); // where the coefficients of an edge stand
  return out;
});

const SAMPLES = { x: numbers(DATA.samples.x, Float64Array), y: numbers(DATA.samples.y, Float64Array) };
SAMPLES.prediction = numbers(DATA.samples.prediction, Float64Array);
SAMPLES.count = DATA.samples.count;

// The k + 1 B-splines that may differ from 0 at x, and the number of the first of them.
function basisAt(layer, i, x) {
  const { k, pieces } = layer;
  let piece = 0;
  while (piece < pieces - 1 && x >= layer.breaks[i * (pieces - 1) + piece]) piece += 1;
  const at = i * pieces + piece;
  const bounded = Math.min(Math.max(x, -Number.MAX_VALUE), Number.MAX_VALUE);
  const w = (bounded - layer.centre[at]) * layer.inverse[at];
  const [values, slopes] = [new Float64Array(k + 1), new Float64Array(k + 1)];
  for (let r = 0; r <= k; r += 1) {
    let [value, slope] = [layer.poly[at * (k + 1) * (k + 1) + r], 0];
    for (let m = 1; m <= k; m += 1) {
      slope = slope * w + value;
      value = value * w + layer.poly[(at * (k + 1) + m) * (k + 1) + r];
    }
    values[r] = Number.isNaN(w) ? NaN : value;
    slopes[r] = slope * layer.inverse[at];
  }
  return { first: layer.first[at], values, slopes };
}

// The sum of an edge's coefficients times the values of its B-splines, or times their slopes.
function splineOf(layer, row, basis, factors = basis.values) {
  const begin = row * (layer.G + layer.k) + basis.first;
  let sum = 0;
  for (let r = 0; r <= layer.k; r += 1) sum += layer.coef[begin + r] * factors[r];
  return sum;
}

// The base part and the spline part of one edge at x.
function edgeParts(layer, row, x) {
  const i = Math.floor(layer.edges[row] / layer.nOut);
  return { base: layer.weight[row] * layer.baseFunction(x), spline: splineOf(layer, row, basisAt(layer, i, x)) };
}

// The values of all edges, and the sums at the nodes, for the inputs of a layer.
function layerAt(layer, inputs) {
  const nodes = Array.from(layer.offset);
  const edges = new Float64Array(layer.edges.length);
  const bases = inputs.map((x, i) => basisAt(layer, i, x));
  const values = inputs.map((x) => layer.baseFunction(x));
  bases.forEach((basis) => {
    if (basis.values.some(Number.isNaN)) nodes.fill(NaN); // outside under the policies "nan" and "raise"
  });
  layer.edges.forEach((edge, row) => {
    const i = Math.floor(edge / layer.nOut);
    edges[row] = splineOf(layer, row, bases[i]) + layer.weight[row] * values[i];
    nodes[edge % layer.nOut] += edges[row];
  });
  return { nodes, edges };
}

// All rows of nodes, from the inputs to the outputs, and the values of the edges of each layer.
function flow(x) {
  const nodes = [Array.from(x)];
  const edges = [];
  for (const layer of LAYERS) {
    const next = layerAt(layer, nodes[nodes.length - 1]);
    nodes.push(next.nodes);
    edges.push(next.edges);
  }
  return { nodes, edges, y: nodes[nodes.length - 1] };
}

const predict = (x) => flow(x).y;
window.numkan = { predict, flow }; // for those who try the page, and for its tests
