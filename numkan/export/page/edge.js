// One edge at a legible size: its curve and parts, knots, the density of its inputs, and the point in hand.

const PLOT = { width: 420, height: 260, left: 66, right: 12, top: 12, bottom: 40 };

function scaleOf([low, high], [begin, end]) {
  const span = high > low ? high - low : 1;
  return (value) => begin + ((value - low) / span) * (end - begin);
}

function drawAxes(svg, across, up, ranges) {
  make("path", { class: "axis", d: `M${PLOT.left},${PLOT.top}V${PLOT.height - PLOT.bottom}H${PLOT.width - PLOT.right}` }, svg);
  for (let tick = 0; tick <= 4; tick += 1) {
    const [x, y] = ranges.map(([low, high]) => low + ((high - low) * tick) / 4);
    const below = { x: across(x), y: PLOT.height - PLOT.bottom + 16, class: "tick" };
    make("text", { ...below, "text-anchor": tick < 4 ? "middle" : "end" }, svg, ranges.text(x));
    make("text", { x: PLOT.left - 6, y: up(y) + 4, class: "tick", "text-anchor": "end" }, svg, short(y));
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
  ranges.text = depth === 0 ? (x) => inputText(i, x) : short;
  const across = scaleOf(ranges[0], [PLOT.left, PLOT.width - PLOT.right]);
  const up = scaleOf(ranges[1], [PLOT.height - PLOT.bottom, PLOT.top]);
  drawDensity(svg, layer, i, across);
  for (const knot of knots)
    make("path", { class: "knot", d: `M${across(knot)},${PLOT.height - PLOT.bottom}v-8` }, svg);
  drawAxes(svg, across, up, ranges);
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
