"use strict";
// What all pictures share: the data, colours, packed numbers, and one range of time for all.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const coarse = window.matchMedia("(pointer: coarse)").matches;

// -- numbers and texts ---------------------------------------------------------------------------

/** The values of a column that holds the first one and then differences. */
function summed(differences) {
  let sum = 0;
  return differences.map((one) => (sum += one));
}

/** Prices as they lie in the page: times, and open, high, low, close in numbers. */
function unpacked(packed, places) {
  const scale = Math.pow(10, places);
  const closes = summed(packed.c);
  return {
    step: packed.step,
    t: summed(packed.t),
    c: closes.map((one) => one / scale),
    o: closes.map((one, at) => (one + packed.o[at]) / scale),
    h: closes.map((one, at) => (one + packed.h[at]) / scale),
    l: closes.map((one, at) => (one - packed.l[at]) / scale),
  };
}

/** The values that a packed chunk holds (deflated JSON in base64). */
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

const chunkCache = new Map();

/** Chunk `number` of the element `id`, unpacked once. */
function chunk(id, number) {
  const key = id + "/" + number;
  if (!chunkCache.has(key)) {
    chunkCache.set(key, inflated(byId(id).textContent.split("\n")[number]));
  }
  return chunkCache.get(key);
}

/** Text as plotly shows it letter by letter: it takes some HTML. */
function label(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function moment(ms) {
  const text = new Date(ms).toISOString().replace("T", " ");
  return ms % 1000 ? text.slice(0, 23) : ms % 60000 ? text.slice(0, 19) : text.slice(0, 16);
}

function span(ms) {
  const seconds = ms / 1000;
  if (seconds < 60) { return +seconds.toFixed(3) + " s"; }
  if (seconds < 3600) { return +(seconds / 60).toFixed(1) + " min"; }
  if (seconds < 172800) { return +(seconds / 3600).toFixed(1) + " h"; }
  return +(seconds / 86400).toFixed(1) + " d";
}

function digits(value, least = 0, most = 10) {
  if (value === null || value === undefined) { return ""; }
  return value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: most });
}

const money = (value) => digits(value, 2, 2);

/** The first place in sorted `times` that is not before `time`. */
function placeOf(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) { low = middle + 1; } else { high = middle; }
  }
  return low;
}

/** From where to where `times` lie in `range`, with a neighbour on each side. */
function within(times, range) {
  return [Math.max(0, placeOf(times, range[0]) - 1), Math.min(times.length, placeOf(times, range[1]) + 1)];
}

// -- looks ---------------------------------------------------------------------------------------

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function axis(more) {
  return Object.assign({
    gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("strong"),
    tickcolor: colour("line"), ticks: "outside", ticklen: 4, automargin: true,
    title: { font: { size: 12, color: colour("soft") }, standoff: 6 },
  }, more);
}

function layout(height, more) {
  const font = { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 12,
    color: colour("ink") };
  return Object.assign({
    height, font, margin: { l: 56, r: 12, t: 12, b: 32 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: colour("wash"), bordercolor: colour("strong"), font },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", traceorder: "normal" },
    dragmode: coarse ? false : "zoom", modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"),
      activecolor: colour("accent") },
  }, more);
}

function line(x, y, name, of, more) {
  return Object.assign({ type: "scatter", mode: "lines", x, y, name: label(name),
    line: { color: colour(of), width: 1.6 } }, more);
}

/** Two lines with a band between: from the lowest to the highest of neighbours. */
function band(x, low, high) {
  const edge = { width: 0 };
  return [
    { type: "scatter", mode: "lines", x, y: low, line: edge, hoverinfo: "skip", showlegend: false },
    { type: "scatter", mode: "lines", x, y: high, line: edge, fill: "tonexty",
      fillcolor: colour("band"), hoverinfo: "skip", showlegend: false },
  ];
}

const config = {
  responsive: true, displaylogo: false, displayModeBar: coarse ? false : "hover",
  modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  showSendToCloud: false, plotlyServerURL: "", doubleClick: "reset",
};

// -- pictures ------------------------------------------------------------------------------------

const whole = [data.start, Math.max(data.end, data.start + 1)];
let range = whole.slice();
const pictures = new Map();

/** Say how the picture `id` is made; one along time is made anew for each range. */
function picture(id, make, more) {
  const node = byId(id);
  if (node) { pictures.set(id, Object.assign({ node, make, drawn: false, isTime: false }, more)); }
}

function plotTime(ms) {
  return new Date(ms).toISOString().replace("T", " ").replace("Z", "");
}

function msOf(text) {
  if (typeof text === "number") { return text; }
  const parts = String(text).split(/[^0-9]+/).map(Number);
  return Date.UTC(parts[0], (parts[1] || 1) - 1, parts[2] || 1, parts[3] || 0, parts[4] || 0,
    parts[5] || 0, Math.round(Number("0." + (String(text).split(".")[1] || "0")) * 1000));
}

function draw(one) {
  const made = one.make(range);
  if (one.isTime) {
    made.layout.xaxis = axis({ type: "date", range: range.map(plotTime), hoverformat: "%Y-%m-%d %H:%M:%S" });
  }
  one.drawn = true;
  return Plotly.react(one.node, made.data, made.layout, config).then(() => {
    if (!one.heard) {
      one.heard = true;
      if (one.isTime) { one.node.on("plotly_relayout", (change) => zoomed(change)); }
      one.node.on("plotly_click", (event) => {
        const trade = event.points.map((point) => point.customdata)
          .find((found) => found !== undefined && found !== null && found >= 0);
        if (trade !== undefined) { openTrade(trade); }
      });
    }
  });
}

let moving = false;

function zoomed(change) {
  if (moving) { return; }
  const from = change["xaxis.range[0]"] || (change["xaxis.range"] || [])[0];
  const to = change["xaxis.range[1]"] || (change["xaxis.range"] || [])[1];
  if (from !== undefined && to !== undefined) { moveTo([msOf(from), msOf(to)]); }
  else if (change["xaxis.autorange"]) { moveTo(whole); }
}

/** All pictures along time show `wanted`. */
function moveTo(wanted) {
  const least = 1000, most = whole[1] - whole[0];
  const width = Math.min(Math.max(wanted[1] - wanted[0], least), most);
  const from = Math.min(Math.max(wanted[0], whole[0]), whole[1] - width);
  range = [from, from + width];
  moving = true;
  const drawn = [...pictures.values()].filter((one) => one.isTime && one.drawn);
  return Promise.all(drawn.map(draw)).finally(() => { moving = false; });
}

function redraw(id) {
  const one = pictures.get(id);
  if (one && one.drawn) { moving = true; draw(one).finally(() => { moving = false; }); }
}

/** Pictures are drawn when they come into view: the page is there at once. */
function start() {
  const seen = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      seen.unobserve(entry.target);
      const one = pictures.get(entry.target.id);
      if (!one.drawn) { draw(one); }
    });
  }, { rootMargin: "200px" });
  pictures.forEach((one) => seen.observe(one.node));
  const anew = () => pictures.forEach((one) => { if (one.drawn) { draw(one); } });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  window.addEventListener("beforeprint", () => pictures.forEach((one) => { if (!one.drawn) { draw(one); } }));
  document.querySelectorAll("[data-move]").forEach((button) => {
    button.addEventListener("click", () => {
      const middle = (range[0] + range[1]) / 2, half = (range[1] - range[0]) / 2;
      const moves = {
        in: [middle - half / 2, middle + half / 2], out: [middle - half * 2, middle + half * 2],
        back: [range[0] - half, range[1] - half], on: [range[0] + half, range[1] + half], all: whole,
      };
      moveTo(moves[button.dataset.move]);
    });
  });
}
