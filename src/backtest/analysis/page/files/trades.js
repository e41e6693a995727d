// Trades as a table that sorts and filters; a click on one shows its story.

const trades = T.pnl.map((_, at) => at);
const SIZE = 25;
const words = (text) => text.replace(/_/g, " ");
const COLUMNS = [
  { name: "#", value: (at) => T.number[at], text: (at) => String(T.number[at]), number: true },
  { name: "pair", value: (at) => T.pairs[T.pair[at]], only: T.pairs.length > 1 },
  { name: "side", value: (at) => (T.long[at] ? "long" : "short") },
  { name: "volume", value: (at) => T.volume[at], text: (at) => digits(T.volume[at]), number: true },
  { name: "entered (UTC)", value: (at) => T.entry[at], text: (at) => moment(T.entry[at]) },
  { name: "at", value: (at) => T.entry_price[at], text: (at) => digits(T.entry_price[at]), number: true },
  { name: "left (UTC)", value: (at) => T.exit[at], text: (at) => (T.open[at] ? "still open" : moment(T.exit[at])) },
  { name: "at", value: (at) => T.exit_price[at], text: (at) => digits(T.exit_price[at]), number: true },
  { name: "by", value: (at) => words(T.reasons[T.exit_reason[at]]) },
  { name: "held", value: (at) => T.held[at], text: (at) => span(T.held[at]), number: true },
  { name: "PnL", value: (at) => T.pnl[at], text: (at) => pnlText(at), number: true, sign: true },
  { name: "return %", value: (at) => T.return[at], text: (at) => money(T.return[at]), number: true, sign: true },
  { name: "MAE", value: (at) => T.mae[at], text: (at) => money(T.mae[at]), number: true },
  { name: "MFE", value: (at) => T.mfe[at], text: (at) => money(T.mfe[at]), number: true },
  { name: "costs", value: (at) => T.costs[at], text: (at) => digits(T.costs[at], 2, 4), number: true },
  { name: "account, strategy", value: (at) => T.accounts[T.account[at]], only: T.accounts.length > 1 },
].filter((one) => one.only !== false);
const PNL = COLUMNS.findIndex((one) => one.name === "PnL");

function pnlText(at) {
  return money(T.pnl[at]) + (T.asset[at] === 0 && T.assets.length === 1 ? "" : " " + T.assets[T.asset[at]]);
}

const table = { sort: 0, down: false, page: 0 };

/** `a` before `b` by a column; what has no value comes last, either way. */
function ordered(column, down) {
  return (a, b) => {
    const one = column.value(a), other = column.value(b);
    if (one === null || other === null) { return (one === null) - (other === null) || a - b; }
    const by = one < other ? -1 : one > other ? 1 : 0;
    return (down ? -by : by) || a - b;
  };
}

function chosen() {
  const [text, pair, side, outcome] = [...document.querySelectorAll("#trade-tools input, #trade-tools select")]
    .map((one) => one.value.trim().toLowerCase());
  return trades.filter((at) => {
    if (pair !== "" && T.pair[at] !== Number(pair)) { return false; }
    if (side !== "" && T.long[at] !== Number(side)) { return false; }
    if (outcome === "open" && !T.open[at]) { return false; }
    if (outcome === "won" && !(T.pnl[at] > 0 && !T.open[at])) { return false; }
    if (outcome === "lost" && !(T.pnl[at] < 0 && !T.open[at])) { return false; }
    if (text === "") { return true; }
    return String(T.number[at]) === text || [words(T.reasons[T.exit_reason[at]]), T.accounts[T.account[at]],
      moment(T.entry[at])].some((one) => one.toLowerCase().includes(text));
  });
}

function fillTable() {
  const found = chosen().sort(ordered(COLUMNS[table.sort], table.down));
  const pages = Math.max(1, Math.ceil(found.length / SIZE));
  table.page = Math.min(Math.max(table.page, 0), pages - 1);
  const body = document.querySelector("#trade-table tbody");
  body.textContent = "";
  found.slice(table.page * SIZE, (table.page + 1) * SIZE).forEach((at) => body.appendChild(rowOf(at)));
  const sum = found.reduce((all, at) => all + (T.asset[at] === T.asset[0] ? T.pnl[at] : 0), 0);
  document.querySelector("#trade-tools .count").textContent = found.length.toLocaleString("en") + " trades, PnL " +
    money(sum) + " " + (T.assets[T.asset[0]] || "") + ", page " + (table.page + 1) + " of " + pages;
  document.querySelector("#trade-tools .back").disabled = table.page === 0;
  document.querySelector("#trade-tools .next").disabled = table.page === pages - 1;
  document.querySelectorAll("#trade-table th").forEach((head, at) => {
    head.setAttribute("aria-sort", at !== table.sort ? "none" : table.down ? "descending" : "ascending");
    head.firstChild.textContent = COLUMNS[at].name + (at !== table.sort ? "" : table.down ? " ▼" : " ▲");
  });
}

function rowOf(at) {
  const row = document.createElement("tr");
  row.tabIndex = 0;
  row.dataset.trade = at;
  COLUMNS.forEach((column) => {
    const cell = document.createElement("td"), value = column.value(at);
    cell.textContent = column.text ? column.text(at) : value;
    if (column.number) { cell.className = "n"; }
    if (column.sign && value) { cell.classList.add(value > 0 ? "won" : "lost"); }
    row.appendChild(cell);
  });
  row.addEventListener("click", () => openTrade(at));
  row.addEventListener("keydown", (event) => { if (event.key === "Enter") { openTrade(at); } });
  return row;
}

function makeTable() {
  const head = document.createElement("tr");
  COLUMNS.forEach((column, at) => {
    const cell = document.createElement("th"), button = document.createElement("button");
    button.type = "button";
    cell.appendChild(button);
    if (column.number) { cell.className = "n"; }
    cell.addEventListener("click", () => {
      table.down = table.sort === at ? !table.down : Boolean(column.number) && at > 0;
      table.sort = at;
      table.page = 0;
      fillTable();
    });
    head.appendChild(cell);
  });
  document.querySelector("#trade-table thead").appendChild(head);
  document.querySelectorAll("#trade-tools input, #trade-tools select").forEach((one) => {
    one.addEventListener("input", () => { table.page = 0; fillTable(); });
  });
  document.querySelector("#trade-tools .back").addEventListener("click", () => { table.page -= 1; fillTable(); });
  document.querySelector("#trade-tools .next").addEventListener("click", () => { table.page += 1; fillTable(); });
  fillTable();
}

// -- the story of a trade ------------------------------------------------------------------------

/** The story of a trade's chain and the bars around its trades; only where `T.item` has one. */
function tradeItem(at) {
  const item = T.item[at];
  return chunk("stories", Math.floor(item / data.chunk)).then((items) => items[item % data.chunk]);
}

function facts(at) {
  const asset = " " + T.assets[T.asset[at]];
  return [
    ["side, volume", (T.long[at] ? "long " : "short ") + digits(T.volume[at])],
    ["entered", moment(T.entry[at]) + " at " + digits(T.entry_price[at])],
    [T.open[at] ? "still open, last" : "left", moment(T.exit[at]) + " at " + digits(T.exit_price[at])],
    ["left by", words(T.reasons[T.exit_reason[at]])],
    ["held", span(T.held[at])],
    ["PnL", digits(T.pnl[at], 2) + asset],
    ["return", T.return[at] === null ? "" : digits(T.return[at], 2) + " %"],
    ["costs", digits(T.costs[at], 2) + asset],
    ["worst while open (MAE)", T.mae[at] === null ? "not known" : digits(T.mae[at], 2)],
    ["best while open (MFE)", T.mfe[at] === null ? "not known" : digits(T.mfe[at], 2)],
    ["stop, target (as last set)", [T.stop[at], T.target[at]].map((one) => (one === null ? "none" : digits(one))).join(", ")],
    ["account, strategy", T.accounts[T.account[at]]],
  ];
}

function openTrade(at) {
  const dialog = byId("story");
  dialog.dataset.trade = at;
  dialog.querySelector("h2").textContent = "Trade " + T.number[at] + ", " + T.pairs[T.pair[at]];
  const box = dialog.querySelector(".facts");
  box.textContent = "";
  facts(at).forEach(([name, text]) => {
    const one = document.createElement("div"), head = document.createElement("span");
    head.textContent = name;
    one.append(head, text);
    box.appendChild(one);
  });
  const pre = dialog.querySelector("pre"), node = byId("around");
  Plotly.purge(node);
  node.style.display = "none";
  if (!dialog.open) { dialog.showModal(); }
  dialog.scrollTop = 0;
  if (T.item[at] < 0) {
    pre.textContent = "The page had no room for this story:\n\nresult.explain(result.trades[" + at + "].root_id)";
    return;
  }
  pre.textContent = "…";
  tradeItem(at).then((item) => {
    if (Number(dialog.dataset.trade) !== at) { return; }
    pre.textContent = item[0];
    const bars = item[1][String(at)];
    if (bars) { drawAround(node, at, unpacked(bars, data.prices[T.pair[at]].places)); }
  });
}

/** The bars around a trade with its entry, exit, stop and target. */
function drawAround(node, at, bars) {
  const from = bars.t[0], to = bars.t[bars.t.length - 1], up = T.long[at];
  const mark = (x, y, name, buy) => ({ type: "scatter", mode: "markers", x: [x], y: [y], name,
    marker: { size: 12, symbol: buy ? "triangle-up" : "triangle-down", color: colour(buy ? "up" : "down"), line: { width: 1, color: colour("ink") } } });
  const level = (y, name, of) => line([Math.max(from, T.entry[at]), Math.min(to, T.exit[at])], [y, y], name, of,
    { line: { color: colour(of), width: 1.3, dash: "dash" } });
  const traces = [candles(bars, [0, bars.t.length]), line([T.entry[at], T.exit[at]], [T.entry_price[at], T.exit_price[at]], "trade", "ink",
    { line: { color: colour("ink"), width: 1, dash: "dot" }, showlegend: false })];
  if (T.stop[at] !== null) { traces.push(level(T.stop[at], "stop", "down")); }
  if (T.target[at] !== null) { traces.push(level(T.target[at], "target", "up")); }
  traces.push(mark(T.entry[at], T.entry_price[at], "entry", up), mark(T.exit[at], T.exit_price[at], T.open[at] ? "last" : "exit", !up));
  node.style.display = "";
  Plotly.newPlot(node, traces, layout(260, { hovermode: "closest", dragmode: false, xaxis: axis({ type: "date", rangeslider: { visible: false } }), yaxis: axis({}) }), Object.assign({}, config, { displayModeBar: false }));
}

byId("story").querySelector(".close").addEventListener("click", () => byId("story").close());
byId("story").addEventListener("click", (event) => { if (event.target === byId("story")) { byId("story").close(); } });
if (byId("trade-table")) { makeTable(); }
start();
