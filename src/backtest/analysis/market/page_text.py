"""The frame of the page: its style, its few lines of script, and safe text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

__all__ = ["SCRIPT", "STYLE", "script_json", "table", "tiles"]

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --soft: #66717d; --line: #e3e8ed; --wash: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 12px 0 0; color: var(--soft); font-weight: 600; }
p { margin: 4px 0 12px; color: var(--soft); max-width: 110ch; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 20px 0 8px; }
.tile { flex: 1 1 auto; border: 1px solid var(--line); border-radius: 8px; padding: 9px 13px; }
.tile b { display: block; font-size: 18px; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 12.5px; }
.notes { font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }
.notes b { color: var(--ink); font-weight: 600; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px 24px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid #c9d0d7;
  padding: 6px 10px 6px 0; vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); padding: 6px 10px 6px 0; vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; }
td.w { font-size: 12.5px; color: var(--soft); }
.tag { display: inline-block; white-space: nowrap; border-radius: 10px; padding: 1px 9px;
  font-size: 12.5px; }
.good { background: #e3f3ea; color: #1f6b43; } .part { background: #fdf1dc; color: #8a5a10; }
.bad { background: #fbe6e3; color: #96291d; } .none { background: #eef1f4; color: #5f6b76; }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
.tools input, .tools select, .tools button { font: inherit; font-size: 13.5px; padding: 4px 9px;
  border: 1px solid #c9d0d7; border-radius: 6px; background: #fff; color: var(--ink); }
.tools button { cursor: pointer; } .tools button:disabled { color: #b4bcc4; cursor: default; }
.tools span { color: var(--soft); font-size: 13px; }
@media (max-width: 760px) { .pair { grid-template-columns: minmax(0, 1fr); }
  main { padding: 20px 14px 48px; } }
@media print { .tools { display: none; } h2 { break-after: avoid; } }
"""

SCRIPT = """
"use strict";
(function () {
  var read = function (id) { return JSON.parse(document.getElementById(id).textContent); };
  var figures = read("figures"), linked = [], moving = false;
  var config = { responsive: true, displaylogo: false, displayModeBar: false };
  Object.keys(figures).forEach(function (id) {
    var figure = figures[id], node = document.getElementById(id);
    Plotly.newPlot(node, figure.data, figure.layout, config);
    if (figure.layout.xaxis.type === "date") { linked.push(node); }
  });
  // Zooming one picture along time zooms the others.
  linked.forEach(function (node) {
    node.on("plotly_relayout", function (change) {
      var range = change["xaxis.range"] ||
        (change["xaxis.range[0]"] && [change["xaxis.range[0]"], change["xaxis.range[1]"]]);
      if (moving || (!range && !change["xaxis.autorange"])) { return; }
      moving = true;
      Promise.all(linked.map(function (other) {
        return other === node ? null : Plotly.relayout(other,
          { "xaxis.range": (range || figures[other.id].layout.xaxis.range).slice() });
      })).then(function () { moving = false; });
    });
  });
  Array.prototype.forEach.call(document.querySelectorAll(".tape"), function (box) {
    var tape = read(box.dataset.tape), rows = tape.rows, page = 0, size = 25;
    var find = function (what) { return box.querySelector(what); };
    var name = function (place) { return tape.accounts[place]; };
    var kind = function (place) { return tape.types[tape.type_of[place]]; };
    var draw = function () {
      var text = find("input").value.trim().toLowerCase(), side = find("select").value;
      var shown = rows.filter(function (row) {
        if (side !== "" && String(row[3]) !== side) { return false; }
        if (text === "") { return true; }
        return [row[4], row[5]].some(function (place) {
          return name(place).toLowerCase().indexOf(text) >= 0 ||
            kind(place).toLowerCase().indexOf(text) >= 0;
        });
      });
      var pages = Math.max(1, Math.ceil(shown.length / size));
      page = Math.min(Math.max(page, 0), pages - 1);
      var body = find("tbody");
      body.textContent = "";
      shown.slice(page * size, page * size + size).forEach(function (row) {
        var line = document.createElement("tr");
        [row[0], row[1], row[2], ["auction", "buy", "sell"][row[3]],
          name(row[4]), kind(row[4]), name(row[5]), kind(row[5])].forEach(function (cell, place) {
          var td = document.createElement("td");
          td.textContent = cell;
          if (place === 1 || place === 2) { td.className = "n"; }
          line.appendChild(td);
        });
        body.appendChild(line);
      });
      find(".count").textContent = shown.length.toLocaleString("en") + " trades, page " +
        (page + 1) + " of " + pages;
      find(".back").disabled = page === 0;
      find(".next").disabled = page === pages - 1;
    };
    find("input").addEventListener("input", function () { page = 0; draw(); });
    find("select").addEventListener("change", function () { page = 0; draw(); });
    find(".back").addEventListener("click", function () { page -= 1; draw(); });
    find(".next").addEventListener("click", function () { page += 1; draw(); });
    draw();
  });
})();
"""


def script_json(name: str, value: Any) -> str:
    """Data for the script, in an element of its own; no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Figures in boxes: what they are, and how much."""
    boxes = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in pairs
    )
    return f'<div class="tiles">{"".join(boxes)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], kinds: str, raw: Sequence[int] = ()
) -> str:
    """A table; ``kinds`` has a letter for each column: ``n`` number, ``w`` small, ``t`` text.

    Cells are escaped, but for the columns ``raw``, which hold HTML.
    """
    titles = "".join(
        f'<th class="{kind}">{escape(title)}</th>' for kind, title in zip(kinds, head, strict=True)
    )
    lines = [
        "<tr>"
        + "".join(
            f'<td class="{kind}">{cell if place in raw else escape(cell)}</td>'
            for place, (kind, cell) in enumerate(zip(kinds, row, strict=True))
        )
        + "</tr>"
        for row in rows
    ]
    return (
        f'<div class="scroll"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
