// The pictures, each made from the data for the range of time that is looked at.

// -- equity, drawdown, exposure ------------------------------------------------------------------

const equity = Object.assign({}, data.equity, { t: summed(data.equity.t) });

function along(values, part) { return values.slice(part[0], part[1]); }

picture("equity", (shown) => {
  const part = within(equity.t, shown), x = along(equity.t, part), traces = [];
  if (equity.step > 1) { traces.push(...band(x, along(equity.low, part), along(equity.high, part))); }
  if (equity.held.some((one) => one !== null)) {
    traces.push(line(x, along(equity.held, part), "buy and hold", "other", { line: { color: colour("other"), width: 1.2, dash: "dot" } }));
  }
  traces.push(line(x, along(equity.last, part), "equity", "accent"));
  return { data: traces, layout: layout(340, { hovermode: "x unified", yaxis: axis({ title: { text: label(data.cash) } }) }) };
}, { isTime: true });

picture("fall", (shown) => {
  const part = within(equity.t, shown);
  const y = along(equity.fall, part).map((one) => -100 * one);
  const traces = [line(along(equity.t, part), y, "drawdown %", "down", { fill: "tozeroy" })];
  return { data: traces, layout: layout(150, { hovermode: "x unified", showlegend: false, yaxis: axis({ title: { text: "%" }, rangemode: "tozero" }) }) };
}, { isTime: true });

picture("exposure", (shown) => {
  const part = within(equity.t, shown), x = along(equity.t, part);
  const percent = (values) => along(values, part).map((one) => (one === null ? null : 100 * one));
  const traces = [
    line(x, percent(equity.gross), "gross", "other", { line: { color: colour("other"), width: 1, shape: "hv" } }),
    line(x, percent(equity.net), "net", "accent", { line: { color: colour("accent"), width: 1.3, shape: "hv" } }),
  ];
  return { data: traces, layout: layout(200, { hovermode: "x unified", yaxis: axis({ title: { text: "% of equity" } }) }) };
}, { isTime: true });

if (data.rolling.t) {
  const times = summed(data.rolling.t);
  picture("rolling", (shown) => {
    const part = within(times, shown);
    const traces = [line(along(times, part), along(data.rolling.sharpe, part), "Sharpe ratio", "accent")];
    return { data: traces, layout: layout(220, { hovermode: "x unified", showlegend: false, yaxis: axis({ zeroline: true }) }) };
  }, { isTime: true });
}

const free = data.free.map((one) => Object.assign({}, one, { t: summed(one.t) }));

picture("free", (shown) => {
  const shades = ["accent", "up", "down", "other"];
  const traces = free.map((one, at) => {
    const part = within(one.t, shown);
    return line(along(one.t, part), along(one.free, part).map((share) => (share === null ? null : 100 * share)),
      one.name, shades[at], { line: { color: colour(shades[at]), width: 1.3, shape: "hv" } });
  });
  return { data: traces, layout: layout(220, { hovermode: "x unified", showlegend: free.length > 1, yaxis: axis({ title: { text: "% available" }, rangemode: "tozero" }) }) };
}, { isTime: true });

// -- prices, fills, stops and targets ------------------------------------------------------------

const T = data.trades;
T.entry = summed(T.entry);
T.number = summed(T.number);
T.exit = T.entry.map((one, at) => one + T.held[at]);
const F = data.fills;
F.t = summed(F.t);
const unsure = new Set(F.unsure);
const byPair = data.prices.map((_, pair) => ({
  trades: T.pair.map((_, at) => at).filter((at) => T.pair[at] === pair),
  fills: F.pair.map((_, at) => at).filter((at) => F.pair[at] === pair).sort((a, b) => F.t[a] - F.t[b]),
}));
const SINGLE = 150, MARKS = 300, LINES = 120, NEAR = 8;

/** Candles where single bars are shown, else a band from lowest to highest with the last price. */
function priceTraces(prices, part, of) {
  const x = along(prices.t, part), few = x.length <= SINGLE && of === "bars";
  if (few && prices.step === 1) { return [candles(prices, part)]; }
  const traces = band(x, along(prices.l, part), along(prices.h, part));
  traces.push(line(x, along(prices.c, part), "price", "accent", { line: { color: colour("accent"), width: 1 }, hoverinfo: "x+y" }));
  return traces;
}

function candles(prices, part) {
  const up = { line: { color: colour("up"), width: 1 }, fillcolor: colour("up") };
  const down = { line: { color: colour("down"), width: 1 }, fillcolor: colour("down") };
  return { type: "candlestick", x: along(prices.t, part), open: along(prices.o, part), high: along(prices.h, part),
    low: along(prices.l, part), close: along(prices.c, part), increasing: up, decreasing: down, name: "price" };
}

/** Each fill, or, where there are too many, one mark for all of a side that are neighbours. */
function fillTraces(pair, shown) {
  const all = byPair[pair].fills.filter((at) => F.t[at] >= shown[0] && F.t[at] <= shown[1]);
  const width = (shown[1] - shown[0]) / MARKS;
  return [1, 0].map((buy) => {
    const own = all.filter((at) => F.buy[at] === buy);
    const groups = new Map();
    own.forEach((at) => {
      const key = own.length > MARKS ? Math.floor((F.t[at] - shown[0]) / width) : at;
      if (groups.has(key)) { groups.get(key).push(at); } else { groups.set(key, [at]); }
    });
    const marks = [...groups.values()];
    return {
      type: "scatter", mode: "markers", name: buy ? "bought" : "sold",
      x: marks.map((some) => F.t[some[0]]), y: marks.map((some) => F.price[some[0]]),
      customdata: marks.map((some) => (some.length === 1 ? F.trade[some[0]] : -1)),
      text: marks.map((some) => (some.length === 1 ? fillText(some[0]) : some.length + " fills: zoom in")),
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        size: 9, color: colour(buy ? "up" : "down"), line: { width: 1, color: colour("paper") },
        symbol: marks.map((some) => (buy ? "triangle-up" : "triangle-down") + (some.length === 1 && unsure.has(some[0]) ? "-open" : "")),
      },
    };
  });
}

function fillText(at) {
  const side = F.buy[at] ? "bought " : "sold ";
  const when = F.inside[at]
    ? "inside the bar that ended " + moment(F.t[at] + F.inside[at] / 2) : moment(F.t[at]);
  return label(side + digits(F.volume[at]) + " at " + digits(F.price[at]) + ", " + F.kinds[F.kind[at]].replace("_", "-")) +
    "<br>" + when + (unsure.has(at) ? "<br>ambiguous" : "");
}

/** From entry to exit, with stop and target, of the trades in view; nothing where they are many. */
function tradeLines(trades) {
  if (trades.length > LINES) { return []; }
  const lines = (name, of, dash, from, to) => {
    const x = [], y = [];
    trades.forEach((at) => {
      if (from(at) === null) { return; }
      x.push(T.entry[at], T.exit[at], null);
      y.push(from(at), to(at), null);
    });
    return line(x, y, name, of, { line: { color: colour(of), width: 1.1, dash }, hoverinfo: "skip", connectgaps: false });
  };
  return [
    lines("trade", "ink", "dot", (at) => T.entry_price[at], (at) => T.exit_price[at]),
    lines("stop", "down", "dash", (at) => T.stop[at], (at) => T.stop[at]),
    lines("target", "up", "dash", (at) => T.target[at], (at) => T.target[at]),
  ].filter((one) => one.x.length);
}

data.prices.forEach((prices, pair) => {
  if (!prices.coarse) { return; }
  const far = unpacked(prices.coarse, prices.places);
  let near = null, asked = false;
  const around = new Map();
  const id = "price-" + pair;
  picture(id, (shown) => {
    let found = far, part = within(far.t, shown);
    const isClose = part[1] - part[0] < 400 && far.step > 1;
    if (isClose && prices.fine >= 0 && !asked) {
      asked = true;
      chunk("fine", prices.fine).then((one) => { near = unpacked(one[0], prices.places); redraw(id); });
    }
    if (isClose && near) { found = near; part = within(near.t, shown); }
    const trades = byPair[pair].trades.filter((at) => T.exit[at] >= shown[0] && T.entry[at] <= shown[1]);
    const closeUp = found.step > 1 && part[1] - part[0] < 100 ? nearBars(id, prices, trades, around) : [];
    const traces = [...priceTraces(found, part, prices.of), ...closeUp, ...tradeLines(trades), ...fillTraces(pair, shown)];
    byId("told-" + pair).textContent = told(prices, found, closeUp.length);
    return { data: traces, layout: layout(400, { hovermode: "closest", yaxis: axis({}),
      xaxis: axis({ rangeslider: { visible: false } }) }) };
  }, { isTime: true });
});

function told(prices, found, single) {
  const of = prices.seen.toLocaleString("en") + " " + prices.of;
  if (found.step === 1) { return "All " + of + "."; }
  const many = Math.max(1, Math.round(prices.seen / Math.max(1, found.t.length)));
  return "Of " + of + " about " + many.toLocaleString("en") + " make one step of the band" +
    (single ? "; around trades there are bars." : ".");
}

/** Candles around the few trades in view, as far as the page holds them. */
function nearBars(id, prices, trades, around) {
  if (trades.length > NEAR) { return []; }
  const traces = [];
  trades.filter((at) => T.item[at] >= 0).forEach((at) => {
    if (!around.has(at)) {
      around.set(at, null);
      tradeItem(at).then((item) => {
        const bars = item[1][String(at)];
        if (bars) { around.set(at, unpacked(bars, prices.places)); redraw(id); }
      });
    }
    const bars = around.get(at);
    if (bars) { traces.push(Object.assign(candles(bars, [0, bars.t.length]), { showlegend: false })); }
  });
  return traces;
}

// -- excursions, holding times -------------------------------------------------------------------

const POINTS = 2000;

/** At most `POINTS` of the trades, every so many of them in the order of `value`, ends included. */
function thinned(trades, value) {
  if (trades.length <= POINTS) { return trades; }
  const sorted = trades.slice().sort((a, b) => value(a) - value(b));
  const found = [];
  for (let at = 0; at < POINTS; at += 1) { found.push(sorted[Math.round(at * (sorted.length - 1) / (POINTS - 1))]); }
  return found;
}

const inFirst = T.pnl.map((_, at) => at).filter((at) => T.asset[at] === T.asset[0]);
const closed = inFirst.filter((at) => !T.open[at]);

function excursions(id, column, name) {
  const known = inFirst.filter((at) => column[at] !== null);
  if (!known.length) {
    const node = byId(id);
    if (node) { node.textContent = "Not known: the data could not be read again."; node.style.minHeight = "0"; }
    return;
  }
  picture(id, () => {
    const drawn = thinned(known, (at) => T.pnl[at]);
    const trace = {
      type: "scatter", mode: "markers", x: drawn.map((at) => column[at]), y: drawn.map((at) => T.pnl[at]),
      customdata: drawn, text: drawn.map((at) => "trade " + T.number[at]),
      hovertemplate: "%{text}: " + name + " %{x}, PnL %{y}<extra></extra>",
      marker: { size: 6, opacity: 0.65, color: drawn.map((at) => colour(T.pnl[at] < 0 ? "down" : "up")) },
    };
    const some = drawn.length < known.length ? " (" + drawn.length + " of " + known.length + " drawn)" : "";
    return { data: [trace], layout: layout(280, { hovermode: "closest", margin: { l: 56, r: 12, t: 8, b: 44 },
      xaxis: axis({ title: { text: name + some } }), yaxis: axis({ title: { text: "PnL" } }) }) };
  });
}

excursions("mae", T.mae, "MAE");
excursions("mfe", T.mfe, "MFE");

/** How many trades lie in each of `count` steps from the smallest to the largest value. */
function counts(values, count) {
  const low = Math.min(...[values.reduce((a, b) => Math.min(a, b), Infinity)]);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const width = (high - low) / count || 1;
  const place = (value) => Math.min(count - 1, Math.floor((value - low) / width));
  return { low, width, place, centres: Array.from({ length: count }, (_, at) => low + (at + 0.5) * width) };
}

function histogram(id, value, title, show) {
  if (!closed.length) { return; }
  picture(id, () => {
    const bins = counts(closed.map(value), 30);
    const heap = (test) => {
      const found = new Array(30).fill(0);
      closed.filter(test).forEach((at) => { found[bins.place(value(at))] += 1; });
      return found;
    };
    const bar = (name, of, test) => ({ type: "bar", x: bins.centres, y: heap(test), name, marker: { color: colour(of) },
      width: bins.width * 0.92, hovertemplate: "%{y} " + name + ", about %{text}<extra></extra>", text: bins.centres.map(show), textposition: "none" });
    return { data: [bar("won", "up", (at) => T.pnl[at] >= 0), bar("lost", "down", (at) => T.pnl[at] < 0)],
      layout: layout(280, { barmode: "stack", margin: { l: 56, r: 12, t: 8, b: 44 },
        xaxis: axis({ title: { text: title } }), yaxis: axis({ title: { text: "trades" } }) }) };
  });
}

const longest = closed.reduce((most, at) => Math.max(most, T.held[at]), 0);
const unit = longest > 172800000 ? [86400000, "days"] : longest > 7200000 ? [3600000, "hours"]
  : longest > 120000 ? [60000, "minutes"] : [1000, "seconds"];
histogram("holding", (at) => T.held[at] / unit[0], unit[1], (one) => span(one * unit[0]));
histogram("pnl", (at) => T.pnl[at], "PnL, " + label(T.assets[T.asset[0]] || data.cash), money);
