// SPDX-License-Identifier: Apache-2.0
#include "framework/report/page_assets.h"

namespace retain::framework {

const char* const kPageStyle = R"(
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#667;--rule:#d8dde3;--c0:#0b62a4;--c1:#c2410c;--c2:#15803d;--c3:#7e22ce;--c4:#a16207;--c5:#be185d}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e6e9ed;--soft:#9aa4b0;--rule:#343b44;--c0:#6cb4ee;--c1:#f59e6b;--c2:#7bd88f;--c3:#c9a0f5;--c4:#e3c05c;--c5:#f28ab8}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}p.note{color:var(--soft);max-width:46rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
table.samples td,table.samples th{text-align:left;white-space:normal;min-width:7rem;max-width:16rem;vertical-align:top;overflow-wrap:anywhere}
th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid var(--c0)}
th[aria-sort=ascending] button::after{content:" ▲"}th[aria-sort=descending] button::after{content:" ▼"}
.get button{font:inherit;font-size:.85rem;color:var(--ink);background:none;border:1px solid var(--rule);border-radius:4px;padding:.1rem .5rem;margin:.4rem .4rem 0 0;cursor:pointer}
td.heat{background:color-mix(in srgb,var(--c0) calc(var(--v)*60%),transparent)}
svg{width:100%;min-width:34rem;height:auto;max-width:46rem}svg .grid{stroke:var(--rule)}svg .zero{stroke:var(--soft)}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .t{font-size:14px;font-weight:600}svg .l{fill:var(--soft)}
svg .line{fill:none;stroke-width:2}svg .bar{stroke-width:1.5}svg .stripe{stroke:var(--paper);stroke-width:3}
svg .s0{fill:var(--c0)}svg .s1{fill:var(--c1)}svg .s2{fill:var(--c2)}svg .s3{fill:var(--c3)}svg .s4{fill:var(--c4)}svg .s5{fill:var(--c5)}
svg .b0{stroke:var(--c0)}svg .b1{stroke:var(--c1)}svg .b2{stroke:var(--c2)}svg .b3{stroke:var(--c3)}svg .b4{stroke:var(--c4)}svg .b5{stroke:var(--c5)}
svg .d0{stroke:var(--c0)}svg .d1{stroke:var(--c1);stroke-dasharray:7 3}svg .d2{stroke:var(--c2);stroke-dasharray:2 3}
svg .d3{stroke:var(--c3);stroke-dasharray:9 3 2 3}svg .d4{stroke:var(--c4);stroke-dasharray:4 4}svg .d5{stroke:var(--c5);stroke-dasharray:1 3}
@media (max-width:40rem){body{padding:.6rem;font-size:15px}th,td{padding:.25rem .4rem}}
@media print{.get{display:none}}
)";

const char* const kPageScript = R"(
"use strict";
for (const table of document.querySelectorAll("table.data")) {
  const heads = [...table.tHead.rows[0].cells];
  const grid = () => [heads, ...[...table.tBodies[0].rows].map(row => [...row.cells])];
  const text = cell => cell.textContent.replace(/ [▲▼]$/, "");
  const order = cell => cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = a.cells[column], y = b.cells[column], p = order(x), q = order(y);
        const less = p !== null && q !== null ? p - q : p !== null ? 1 : q !== null ? -1 : text(x).localeCompare(text(y));
        return up ? less : -less;
      });
      table.tBodies[0].append(...rows);
    };
  });
  const quoted = value => /[",\n]/.test(value) ? '"' + value.replaceAll('"', '""') + '"' : value;
  const csv = () => {
    const rows = grid(), wide = heads.map((head, column) => rows.some(row => row[column].dataset.low !== undefined));
    return rows.map((row, i) => row.flatMap((cell, column) => {
      const first = i === 0 ? text(cell) : cell.dataset.value ?? text(cell);
      return !wide[column] ? [first] : i === 0 ? [first, first + " low", first + " high"] : [first, cell.dataset.low ?? "", cell.dataset.high ?? ""];
    }).map(quoted).join(",")).join("\n") + "\n";
  };
  const signs = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "−": "$-$", "◆": "$\\diamond$", "○": "$\\circ$", "·": "$\\cdot$", "→": "$\\to$"};
  const safe = value => value.replace(/[\\~^–−◆○·→]|[&%$#_{}]/g, c => signs[c] ?? "\\" + c);
  const latex = () => "\\begin{tabular}{l" + "r".repeat(heads.length - 1) + "}\n\\hline\n" +
    grid().map((row, i) => row.map(cell => safe(text(cell))).join(" & ") + " \\\\" + (i === 0 ? "\n\\hline" : "")).join("\n") + "\n\\hline\n\\end{tabular}\n";
  const bar = document.createElement("div");
  bar.className = "get";
  for (const [name, ending, make] of [["CSV", "csv", csv], ["LaTeX", "tex", latex]]) {
    const button = document.createElement("button");
    button.textContent = "Download " + name;
    button.onclick = () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([make()], {type: "text/plain"}));
      link.download = table.id + "." + ending;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
    bar.append(button);
  }
  table.parentElement.after(bar);
}
)";

}  // namespace retain::framework
