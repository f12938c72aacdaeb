// One edge at a legible size: its curve and parts, knots, the density of its inputs, and the point in hand.

const PLOT = { width: 420, height: 260, left: 66, right: 12, top: 12, bottom: 40 };

function scaleOf([low, high], [begin, end]) {
  const span = high > low ? high - low : 1;
  return (value) => begin + ((value - low) / span) * (end - begin);
}

// Round numbers in a range, three to six of them.
function ticksOf(low, high) {
  if (!(high > low)) return [low];
  const power = 10 ** Math.floor(Math.log10((high - low) / 3));
  const step = power * [5, 2, 1].find((each) => each * power <= (high - low) / 3);
  const count = Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1;
  return Array.from({ length: count }, (_, place) => Number(((Math.ceil(low / step - 1e-9) + place) * step).toPrecision(12)));
}

// `unit` says what numbers stand across: its first number + its second one times x.
function drawAxes(svg, across, up, ranges, unit = [0, 1]) {
  const [bottom, right] = [PLOT.height - PLOT.bottom, PLOT.width - PLOT.right];
  make("path", { class: "axis", d: `M${PLOT.left},${PLOT.top}V${bottom}H${right}` }, svg);
  for (const value of ticksOf(...ranges[0].map((x) => unit[0] + unit[1] * x))) {
    const at = across((value - unit[0]) / unit[1]);
    make("path", { class: "axis", d: `M${at},${bottom}v4` }, svg);
    make("text", { x: at, y: bottom + 16, class: "tick", "text-anchor": at > right - 12 ? "end" : "middle" }, svg, short(value));
  }
  for (const value of ticksOf(...ranges[1])) {
    make("path", { class: "axis", d: `M${PLOT.left},${up(value)}h-4` }, svg);
    make("text", { x: PLOT.left - 7, y: up(value) + 4, class: "tick", "text-anchor": "end" }, svg, short(value));
  }
}

function drawDensity(svg, layer, i, across) {
  const bins = layer.counts.length / layer.nIn;
  const counts = layer.counts.subarray(i * bins, (i + 1) * bins);
  const most = Math.max(...counts, 1);
  const step = (layer.high[i] - layer.low[i]) / bins;
  counts.forEach((count, bin) => {
    const [begin, end] = [across(layer.low[i] + bin * step), across(layer.low[i] + (bin + 1) * step)];
    const height = (0.2 * (PLOT.height - PLOT.bottom - PLOT.top) * count) / most;
    make("rect", { x: begin, y: PLOT.height - PLOT.bottom - height, width: end - begin, height, class: "density" }, svg);
  });
}

function drawEdgePanel(svg, depth, row, point) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${PLOT.width} ${PLOT.height}`);
  const layer = LAYERS[depth];
  const i = Math.floor(layer.edges[row] / layer.nOut);
  const knots = layer.knots.subarray(i * (layer.G + 1), (i + 1) * (layer.G + 1));
  const low = Math.min(layer.low[i], knots[0]);
  const high = Math.max(layer.high[i], knots[layer.G]);
  const points = curvePoints(layer, row, low, high, 301);
  const values = ["y", "base", "spline"].map((key) => rangeOf(points, key));
  const ranges = [[low, high], [Math.min(...values.map((each) => each[0])), Math.max(...values.map((each) => each[1]))]];
  const across = scaleOf(ranges[0], [PLOT.left, PLOT.width - PLOT.right]);
  const up = scaleOf(ranges[1], [PLOT.height - PLOT.bottom, PLOT.top]);
  drawDensity(svg, layer, i, across);
  for (const knot of knots)
    make("path", { class: "knot", d: `M${across(knot)},${PLOT.height - PLOT.bottom}v-8` }, svg);
  drawAxes(svg, across, up, ranges, depth === 0 ? DATA.units[i] : undefined);
  for (const [key, kind] of [["base", "base"], ["spline", "spline"], ["y", "whole"]]) {
    const there = points.filter((each) => Number.isFinite(each[key]));
    make("polyline", { class: kind, points: there.map((each) => `${across(each.x)},${up(each[key])}`).join(" ") }, svg);
  }
  make("text", { x: (PLOT.left + PLOT.width) / 2, y: PLOT.height - 6, class: "tick", "text-anchor": "middle" }, svg, nodeName(depth, i));
  if (point >= low && point <= high) {
    const { base, spline } = edgeParts(layer, row, point);
    if (Number.isFinite(base + spline)) make("circle", { cx: across(point), cy: up(base + spline), r: 5, class: "mark" }, svg);
  }
}
