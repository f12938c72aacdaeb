// How sure the network is: deviations of its outputs, from a root of the posterior, as predict_std finds them.

const SURE = DATA.interval.root ? readInterval(DATA.interval) : null;

function readInterval(data) {
  const layers = LAYERS.map((layer, depth) => {
    const other = data.tables[depth]; // of curves that go on outside the grid, where the network's own are a convention
    const own = other ? { ...layer, ...decoded(other, CURVES, ["first"]) } : layer;
    return { ...own, live: new Set(numbers(data.live[depth], Int32Array)) };
  });
  const total = layers.reduce((sum, layer) => sum + layer.nIn * (layer.G + layer.k) * layer.nOut, 0);
  return { layers, size: data.size, skipped: total - data.size, root: numbers(data.root, Float64Array), noise: data.noise };
}

// By differences: they have ten digits, and a formula for each base function would be one more thing to keep right.
function baseSlope(layer, x) {
  const step = 1e-5 * Math.max(1, Math.abs(x));
  return (layer.baseFunction(x + step) - layer.baseFunction(x - step)) / (2 * step);
}

// The B-splines at the inputs of each layer, and the slopes of its edges.
function slopesAt(x) {
  let inputs = Array.from(x);
  return SURE.layers.map((layer) => {
    const bases = inputs.map((value, i) => basisAt(layer, i, value));
    const baseSlopes = inputs.map((value) => baseSlope(layer, value));
    const slopes = Array.from(layer.edges, (edge, row) => {
      const i = Math.floor(edge / layer.nOut);
      return splineOf(layer, row, bases[i], bases[i].slopes) + layer.weight[row] * baseSlopes[i];
    });
    inputs = layerAt(layer, inputs).nodes;
    return { bases, slopes };
  });
}

// The length of the root times the derivatives of one output by the coefficients; `delta` are those by a layer's nodes.
function deviation(levels, output) {
  const out = new Float64Array(SURE.size);
  let begin = SURE.size + SURE.skipped;
  let delta = Float64Array.from(DATA.outputs, (_, o) => (o === output ? 1 : 0));
  for (let depth = SURE.layers.length - 1; depth >= 0; depth -= 1) {
    const layer = SURE.layers[depth];
    const below = new Float64Array(layer.nIn);
    begin -= layer.nIn * (layer.G + layer.k) * layer.nOut;
    layer.edges.forEach((edge, row) => {
      const [i, o] = [Math.floor(edge / layer.nOut), edge % layer.nOut];
      below[i] += levels[depth].slopes[row] * delta[o];
      if (!layer.live.has(edge)) return;
      const { first, values } = levels[depth].bases[i];
      values.forEach((value, r) => {
        const place = begin + (i * (layer.G + layer.k) + first + r) * layer.nOut + o - SURE.skipped;
        if (place >= 0) addColumn(out, place, value * delta[o]);
      });
    });
    delta = below;
  }
  return Math.hypot(...out);
}

function addColumn(out, place, factor) {
  const begin = (place * (place + 1)) / 2;
  for (let row = 0; row <= place; row += 1) out[row] += factor * SURE.root[begin + row];
}

// The standard deviation of each output's mean, and of an observation where the loss knows the noise.
function deviations(x) {
  const levels = slopesAt(x);
  const mean = DATA.outputs.map((_, o) => deviation(levels, o));
  return { mean, observation: SURE.noise === null ? null : mean.map((value) => Math.hypot(value, SURE.noise)) };
}

const WITHIN = 1.959964; // deviations that 95 % of a normal distribution lie within

const about = (value) => `± ${Number.isFinite(value) ? String(Number((WITHIN * value).toPrecision(3))) : "not defined"}`;

function intervalText(x) {
  if (!SURE) return DATA.interval.none;
  const { mean, observation } = deviations(x);
  const lines = mean.map((value, o) => {
    const name = mean.length > 1 ? `${DATA.outputs[o]} ` : "";
    return `${name}${about(value)} for the mean${observation ? `, ${about(observation[o])} for an observation` : ""}`;
  });
  return `95 % interval: ${lines.join("; ")}.`;
}

window.numkan.deviations = deviations;
