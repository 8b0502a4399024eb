"use strict";
// Shows what is in #data, section by section; a section whose content is not there goes. Texts are set as texts, never
// as HTML. `report` is for whoever looks at the page from outside: what it was given, and the charts that it drew.
const report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = {};
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);

  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  // ------------------------------------------------------------------------------------------------------- numbers
  function number(value) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value)) return value.toLocaleString("en");
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
  }
  const tick = (value) => {
    if (value === null) return "";
    const size = Math.abs(value);
    const short = Number(value.toPrecision(3));
    return size && (size >= 1e6 || size < 1e-3) ? short.toExponential().replace("e+", "e") : short.toLocaleString("en", { maximumFractionDigits: 6 });
  };
  const ticks = (u, values) => values.map(tick);
  function scaled(value, units, base) {
    let k = 0;
    while (value >= base && k < units.length - 1) { value /= base; k++; }
    return `${k ? value.toPrecision(3) : value} ${units[k]}`;
  }
  const bytes = (value) => (value ? scaled(value, ["B", "KiB", "MiB", "GiB"], 1024) : "–");
  const flops = (value) => (value ? scaled(value, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"], 1000) : "–");
  const shape = (sizes) => `(${sizes.join(", ")})`;

  // -------------------------------------------------------------------------------------------------------- colours
  const probe = el("span", { hidden: "" });
  document.body.append(probe);
  function colour(name) {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  }
  const INKS = ["#2f7ed8", "#d9730d", "#2a9d5c", "#c2407a", "#8a63d2", "#a07d1c", "#1799a8", "#8c8c8c"];
  const ink = (k) => INKS[k % INKS.length];
  const HEAT = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis
  function heat(share) {
    const at = Math.min(Math.max(share, 0), 1) * (HEAT.length - 1);
    const k = Math.min(Math.floor(at), HEAT.length - 2);
    return `rgb(${HEAT[k].map((a, i) => Math.round(a + (HEAT[k + 1][i] - a) * (at - k))).join(" ")})`;
  }

  // --------------------------------------------------------------------------------------------------------- charts
  function download(name, type, text) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  function csv(name, columns) {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const keys = Object.keys(columns);
    const rows = columns[keys[0]].map((_, i) => keys.map((key) => columns[key][i] ?? "").join(","));
    download(name, "text/csv", [keys.map(quoted).join(","), ...rows].join("\n") + "\n");
  }

  // A chart in `host`: uPlot, its title, buttons, and keys. `stops` says where the arrow keys go: count, x(i), y(i) or
  // none, text(i), and stride, what up and down skip. `near(u)` is the stop under the pointer, where x does not say it.
  function chart(id, host, { title, about, columns, options, values, stops, near, keys }) {
    const told = el("output", { class: "told", "aria-live": "polite" });
    const plot = el("div", {
      class: "plot", tabindex: "0", role: "application",
      "aria-label": `${title}. Arrow keys move, plus and minus zoom, 0 shows all.`,
    });
    const all = el("button", { type: "button" }, "show all");
    const figure = el("figure", { class: "chart", id: `chart-${id}` },
      el("figcaption", {}, el("strong", {}, title), about ? el("small", {}, about) : null,
        columns ? save(id, title, columns) : null, all),
      keys ?? null, plot, told);
    host.append(figure);
    const axis = (more) => ({ stroke: () => colour("--ink"), grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { stroke: () => colour("--line"), width: 1 }, labelSize: 20, ...more });
    const width = () => Math.max(240, Math.floor(figure.clientWidth));
    const u = new uPlot({
      width: width(), height: 250, ...options,
      axes: options.axes.map(axis),
      cursor: { drag: { x: true, y: false, dist: 4 }, ...options.cursor },
      hooks: { ...options.hooks, setCursor: [(self) => {
        const i = near ? near(self) : null;
        if (i !== null) tell(i);
      }] },
    }, values, plot);
    let at = -1;
    function tell(i) { at = i; told.textContent = stops.text(i); }
    const reset = () => u.setData(u.data, true);
    all.setAttribute("aria-label", `show all of ${title}`);
    all.addEventListener("click", reset);
    function zoom(factor) {
      const { min, max } = u.scales.x;
      const log = u.scales.x.distr === 3;
      const [low, high] = log ? [Math.log(min), Math.log(max)] : [min, max];
      const x = at < 0 ? null : stops.x(at);
      const middle = x === null ? (low + high) / 2 : log ? Math.log(x) : x;
      const half = ((high - low) * factor) / 2;
      const [a, b] = [middle - half, middle + half];
      u.setScale("x", log ? { min: Math.exp(a), max: Math.exp(b) } : { min: a, max: b });
    }
    const stride = stops.stride ?? 0;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: stride, ArrowUp: -stride, Home: -Infinity, End: Infinity };
    const zooms = { "+": 0.5, "=": 0.5, "-": 2 };
    plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in moves && moves[event.key]) {
        const next = at < 0 && Number.isFinite(moves[event.key]) ? 0 : at + moves[event.key];
        tell(Number.isFinite(next) ? (next < 0 || next >= stops.count ? at : next) : next < 0 ? 0 : stops.count - 1);
        const i = at;
        u.setCursor({ left: u.valToPos(stops.x(i), "x"), top: stops.y ? u.valToPos(stops.y(i), "y") : u.over.clientHeight / 2 }, false);
      } else if (event.key in zooms) zoom(zooms[event.key]);
      else if (event.key === "0" || event.key === "Escape") reset();
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => { if (!printing && width() !== u.width) u.setSize({ width: width(), height: u.height }); }).observe(figure);
    charts[id] = u;
    return figure;
  }
  function save(id, title, columns) {
    const button = el("button", { type: "button", "aria-label": `${title} as CSV` }, "CSV");
    button.addEventListener("click", () => csv(`${data.name}-${id}.csv`, columns()));
    return button;
  }

  function lines(id, host, { title, about, x, series, log }) {
    const values = [x, ...series.map((one) => one.values)];
    const few = x.length <= 60;
    const range = (u, low, high) => (low === null ? [0, 1] : low === high ? [low - 1, high + 1] : [low, high]);
    return chart(id, host, {
      title, about, values,
      columns: () => Object.fromEntries([["step", x], ...series.map((one) => [one.key, one.values])]),
      options: {
        scales: { x: { time: false, range }, y: log ? { distr: 3 } : {} },
        axes: [{ label: "step", size: 34 }, { size: 58, values: ticks }],
        series: [{ label: "step", value: (u, v) => number(v) }, ...series.map((one, k) => ({
          label: one.label, stroke: one.ink ?? ink(k), width: 1.5, spanGaps: true, points: { show: few, size: 4 },
          value: (u, v) => number(v),
        }))],
      },
      stops: {
        count: x.length, x: (i) => x[i],
        text: (i) => `step ${number(x[i])}: ` + series.map((one) => `${one.label} ${number(one.values[i])}`).join(", "),
      },
    });
  }

  // A painter for uPlot's draw hook, which stays within the axes.
  const within = (paint) => (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    Object.assign(ctx, { font: `${11 * devicePixelRatio}px system-ui, sans-serif`, textBaseline: "middle", textAlign: "left" });
    paint(u);
    ctx.restore();
  };

  // Boxes in rows over an axis, inside uPlot, which gives axes, zoom and pointer: {row, from, to, fill, text, label}.
  function boxes(id, host, { title, about, columns, rows, given, label, height, stride, keys }) {
    const edges = [...new Set(given.flatMap((box) => [box.from, box.to]))].sort((a, b) => a - b);
    const longest = Math.max(...rows.map((name) => name.length));
    const gap = 1 / 24;
    const draw = within((u) => {
      const { ctx, bbox } = u;
      for (const box of given) {
        const [left, right] = [u.valToPos(box.from, "x", true), u.valToPos(box.to, "x", true)];
        if (right < bbox.left || left > bbox.left + bbox.width) continue;
        const [top, bottom] = [box.row - 0.5 + gap, box.row + 0.5 - gap].map((v) => u.valToPos(v, "y", true));
        ctx.fillStyle = box.fill;
        ctx.fillRect(left, top, Math.max(right - left, 1), bottom - top);
        if (box.label && ctx.measureText(box.label).width + 8 < right - left) {
          ctx.fillStyle = "#fff";
          ctx.fillText(box.label, Math.max(left, bbox.left) + 4, (top + bottom) / 2);
        }
      }
    });
    function near(u) {
      if (u.cursor.left === undefined || u.cursor.left < 0) return null;
      const [x, y] = [u.posToVal(u.cursor.left, "x"), Math.round(u.posToVal(u.cursor.top, "y"))];
      const i = given.findIndex((box) => box.row === y && box.from <= x && x < box.to);
      return i < 0 ? null : i;
    }
    return chart(id, host, {
      title, about, columns, near, keys,
      values: [edges, edges.map(() => null)],
      options: {
        height: height ?? Math.max(120, rows.length * 20 + 60),
        legend: { show: false },
        cursor: { y: false, points: { show: false } },
        scales: { x: { time: false, range: (u, low, high) => [low, high] }, y: { range: [-0.5, rows.length - 0.5], dir: -1 } },
        axes: [{ label, size: 34 }, { size: 24 + longest * 7, splits: () => rows.map((_, k) => k), values: () => rows, grid: { show: false } }],
        series: [{}, { points: { show: false } }],
        hooks: { draw: [draw] },
      },
      stops: {
        count: given.length, stride: stride ?? 0, text: (i) => given[i].text,
        x: (i) => (given[i].from + given[i].to) / 2, y: (i) => given[i].row,
      },
    });
  }

  function table(target, columns, rows, numeric = []) {
    const row = (tag, cells, more = {}) => el("tr", more, ...cells.map((cell, k) =>
      el(tag === "td" && k === 0 ? "th" : tag, { class: numeric.includes(k) ? "number" : null, scope: tag === "th" ? "col" : k === 0 ? "row" : null }, cell)));
    target.append(el("thead", {}, row("th", columns)), el("tbody", {}, ...rows.map((cells) => row("td", cells, cells.more))));
    return target;
  }

  // ------------------------------------------------------------------------------------------------------- sections
  const SECTIONS = {
    verdict(text) { $("verdict-text").textContent = text; },

    facts(pairs) { $("facts").append(...pairs.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)])); },

    samples({ frames, of, classes }) {
      const [slider, image] = [$("samples-step"), $("samples-image")];
      const where = (frame) => `step ${number(frame.step)}` + (frame.epoch ? `, epoch ${number(frame.epoch)}` : "");
      function show() {
        const frame = frames[Number(slider.value)];
        image.src = frame.src;
        image.width = frame.width;
        image.height = frame.height;
        image.alt = `samples at ${where(frame)}`;
        $("samples-at").textContent = where(frame);
        slider.setAttribute("aria-valuetext", where(frame));
      }
      slider.max = frames.length - 1;
      slider.value = frames.length - 1;
      slider.addEventListener("input", show);
      $("samples-slider").hidden = frames.length < 2;
      const thinned = of > frames.length ? ` ${frames.length} of the run's ${of} grids, evenly spread.` : "";
      $("samples-about").textContent = (frames.length > 1 ? "The same z at every step; the arrow keys move the slider." : where(frames[0])) + thinned;
      $("samples-classes").append(...classes.map((name) => el("li", {}, name)));
      show();
    },

    interpolation(shown) {
      picture("interpolation", shown, `A walk through ${shown.corners} points of z, a row from each to the next, ${shown.steps} samples a row; the last row leads back to the first.`, "samples along a walk through z");
    },

    nearest(shown) {
      picture("nearest", shown, `Left, samples that were drawn now; to the right of each its ${shown.neighbours} nearest training rows, by the distance of their values, among ${number(shown.rows)} of ${number(shown.of)}. A sample that looks just like the row beside it may be a copy.`, "samples, each beside its nearest training rows");
    },

    log({ every, columns, charts: groups }) {
      $("curves-about").textContent = `${number(columns.step.length)} lines of log.jsonl` + (every > 1 ? `, every ${every}th of them` : "") + ". Drag to zoom; point to read; with the keyboard: Tab to a chart, then arrows, +, -, 0. CSV holds the chart's numbers as they are.";
      groups.forEach(({ title, series }, k) => lines(`curve-${k}`, $("curves-charts"), {
        title, x: columns.step, series: series.map(({ key, label }) => ({ key, label, values: columns[key] })),
      }));
    },

    evaluation({ columns, rows, lines: said }) {
      table($("metrics-table"), columns, rows, [1, 2]);
      $("metrics-about").append(...said.map((line) => el("li", {}, line)));
    },

    history({ steps, every, values }) {
      const WORDS = {
        gradient: ["gradient", "length of the gradient of a layer's parameters"],
        activation: ["activation", "root mean square of a layer's outputs"],
        update: ["update:weight", "how far a step moved the parameters, over their length"],
      };
      $("layers-about").textContent = `One step in every ${number(steps.length > 1 ? steps[1] - steps[0] : steps[0])} was watched (layers.jsonl)` + (every > 1 ? `; every ${every}th line is shown.` : ".");
      const edge = steps.map((step, k) => (k ? (steps[k - 1] + step) / 2 : step - (steps.length > 1 ? (steps[1] - step) / 2 : 0.5)));
      edge.push(steps.at(-1) + (steps.length > 1 ? (steps.at(-1) - steps.at(-2)) / 2 : 0.5));
      const known = Object.keys(WORDS).filter((kind) => kind in values);
      function map(kind) {
        const rows = Object.keys(values[kind]);
        const found = rows.flatMap((name) => values[kind][name]).filter((v) => v > 0).map(Math.log10);
        const [low, high] = found.length ? [found.reduce((a, b) => Math.min(a, b)), found.reduce((a, b) => Math.max(a, b))] : [0, 1];
        const given = rows.flatMap((name, row) => steps.map((step, k) => {
          const value = values[kind][name][k];
          return {
            row, from: edge[k], to: edge[k + 1], text: `${name}, step ${number(step)}: ${WORDS[kind][0]} ${number(value)}`,
            fill: value > 0 ? heat(high > low ? (Math.log10(value) - low) / (high - low) : 0.5) : colour("--line"),
          };
        }));
        $("layers-map").replaceChildren();
        boxes("layers", $("layers-map"), {
          title: `${WORDS[kind][0]}, layers × steps`, about: WORDS[kind][1], rows, given, label: "step", stride: steps.length,
          columns: () => ({ step: steps, ...values[kind] }),
          keys: el("div", { class: "scale" }, number(10 ** low), el("i", { style: `background: linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(heat).join(", ")})` }), `${number(10 ** high)}, logarithmic`),
        });
      }
      known.forEach((kind, k) => {
        const input = el("input", { type: "radio", name: "kind", id: `kind-${kind}`, value: kind });
        input.checked = k === 0;
        input.addEventListener("change", () => map(kind));
        $("layers-choice").append(el("span", {}, input, " ", el("label", { for: `kind-${kind}` }, WORDS[kind][0])));
      });
      map(known[0]);
      if (!values.update) return;
      const names = Object.keys(values.update);
      lines("ratio", $("layers-ratio"), {
        title: "update:weight", about: "about 1e-3 is usual; far above, the rate is high; far below, the layer hardly learns",
        x: steps, log: true,
        series: names.map((name, k) => ({ key: name, label: name, ink: ink(k), values: values.update[name].map((v) => v || null) })),
      });
    },

    network,
    speed,

    config(sections) {
      const changed = sections.flatMap((section) => section.keys).filter((key) => key.changed).length;
      $("configuration-about").textContent = `As it was resolved, every key with its meaning. Marked are those that differ from the preset's: ${number(changed)}.`;
      for (const { name, about, keys } of sections) {
        const rows = keys.map(({ key, value, doc, changed: other }) => Object.assign([key, value, other ? "changed" : "", doc], { more: { class: other ? "changed" : null } }));
        const made = el("details", {}, el("summary", {}, el("strong", {}, `[${name}]`), ` ${about}`),
          el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `configuration, ${name}` }, table(el("table"), ["key", "value", "", "meaning"], rows)));
        made.open = keys.some((key) => key.changed);
        $("configuration-tables").append(made);
      }
    },

    reproduce({ command, config, name }) {
      $("reproduce-command").textContent = command;
      $("reproduce-about").textContent = "The same bits come of it with the same minigan, build and instruction set; otherwise they may differ in the last places. The button saves the whole configuration, which minigan train takes as well.";
      $("reproduce-config").textContent = name;
      $("reproduce-config").addEventListener("click", () => download(name, "application/toml", config));
    },
  };

  function picture(id, { src, width, height }, about, alt) {
    $(`${id}-about`).textContent = about;
    Object.assign($(`${id}-image`), { src, width, height, alt });
  }

  // ------------------------------------------------------------------------------------------- the network, by layer
  function bars(counts, name) {
    const most = Math.max(...counts);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "bars");
    svg.setAttribute("viewBox", `0 0 ${counts.length} 10`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `histogram of ${name}: ${counts.join(", ")}`);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", counts.map((n, k) => `M${k} 10v${(-10 * n) / most}h.9v${(10 * n) / most}z`).join(""));
    path.setAttribute("fill", "currentColor");
    svg.append(path);
    return svg;
  }
  const STATISTICS = ["array", "shape", "root mean square", "mean", "smallest", "largest", "zeros", "smallest to largest"];
  const statistics = (a) => [a.name, shape(a.shape), number(a.rms), number(a.mean), number(a.min), number(a.max),
    a.zeros === undefined ? "–" : `${(100 * a.zeros).toPrecision(3)} %`, a.histogram ? bars(a.histogram, a.name) : `${number(a.not_finite)} not finite`];
  const wide = (label, content) => el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label }, content);

  function network({ step, layers, line, movers }) {
    $("network-about").textContent = `Choose a layer: what it computes, what it keeps, and what went through it in step ${number(step)}, the one that would come after the newest checkpoint, made now: ${movers.length} sub-step${movers.length > 1 ? "s, which move" : ", which moves"} ${movers.join(", ")}. It would log ${Object.entries(line).map(([key, value]) => `${key} ${number(value)}`).join(", ")}.`;
    const tabs = [];
    let net = null;
    for (const layer of layers) {
      if (layer.net !== net) $("network-tabs").append(el("b", { role: "presentation" }, (net = layer.net)));
      const tab = el("button", { type: "button", role: "tab", id: `tab-${tabs.length}`, "aria-selected": "false", "aria-controls": "network-panel", tabindex: "-1" },
        el("span", {}, layer.layer), el("span", {}, layer.kind), el("small", {}, shape(layer.shape)));
      const k = tabs.length;
      tab.addEventListener("click", () => choose(k));
      tabs.push(tab);
      $("network-tabs").append(tab);
    }
    function choose(k) {
      tabs.forEach((tab, i) => { tab.setAttribute("aria-selected", String(i === k)); tab.tabIndex = i === k ? 0 : -1; });
      $("network-panel").setAttribute("aria-labelledby", `tab-${k}`);
      $("network-panel").replaceChildren(...panel(layers[k], step));
    }
    $("network-tabs").addEventListener("keydown", (event) => {
      const at = tabs.findIndex((tab) => tab.tabIndex === 0);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose((to + tabs.length) % tabs.length);
      tabs[(to + tabs.length) % tabs.length].focus();
    });
    choose(0);
  }

  function panel(layer, step) {
    const pairs = [
      ["shapes", `${layer.in_shape.length ? shape(layer.in_shape) + " → " : ""}${shape(layer.shape)}, ${layer.dtype}`],
      ["parameters", layer.parameters ? `${number(layer.parameters)}, ${(100 * layer.share).toPrecision(3)} % of ${layer.net}` : "none"],
      ["work of a batch", `forward ${flops(layer.flops_forward)}, dX ${flops(layer.flops_dx)}, dW ${flops(layer.flops_dw)}`],
      ["output", bytes(layer.activation_bytes)],
      ["saved for backward", bytes(layer.saved_bytes)],
      ["field", layer.field ? `${layer.field.join(" x ")} pixels of the input` : "–"],
    ];
    const made = [el("h3", {}, `${layer.layer} ${layer.kind}`),
      el("dl", {}, ...pairs.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]))];
    if (layer.formula) made.push(el("h4", {}, "formula"), el("pre", {}, layer.formula));
    if (layer.ops.length) {
      made.push(el("h4", {}, "ops that it calls, in the order of the step"), wide("ops", table(el("table"), ["pass", "op", "calls", "formula"],
        layer.ops.map((op) => [op.pass, op.op, number(op.calls), el("pre", {}, op.formula)]), [2])));
    }
    layer.passes.forEach((pass, k) => {
      const words = `sub-step ${pass.sub} (moves ${pass.mover}), pass ${k + 1} of ${layer.passes.length}`;
      made.push(el("h4", {}, words), wide(words, table(el("table"), STATISTICS, pass.arrays.map(statistics), [2, 3, 4, 5, 6])));
    });
    if (layer.parameters_of.length) {
      made.push(el("h4", {}, "parameters before the step, and their gradients"), wide("parameters", table(el("table"), [...STATISTICS, "update:weight"],
        layer.parameters_of.flatMap(({ arrays, ratio, frozen }) => arrays.map((a, k) => [...statistics(a), k ? "" : frozen ? "frozen" : number(ratio)])), [2, 3, 4, 5, 6, 8])));
    }
    return made;
  }

  // ---------------------------------------------------------------------------------------------------------- speed
  function speed({ header, closing, columns, rows, roofline, timeline }) {
    $("speed-about").append(...[...header, ...closing].map((text) => el("li", {}, text)));
    table($("speed-table"), columns, rows, columns.map((_, k) => k).slice(5));
    if (roofline) roofs(roofline);
    const PASSES = { forward: ink(0), dX: ink(1), dW: ink(3), loss: ink(4), optimizer: ink(2) };
    const fill = (span) => (span.depth === 0 ? "#6b7280" : span.name === "data" ? ink(6) : PASSES[span.pass] ?? (span.pass ? "#8c8c8c" : "#4b5563"));
    const depth = Math.max(...timeline.map((span) => span.depth)) + 1;
    boxes("timeline", $("speed-timeline"), {
      title: "one step, from its first to its last microsecond", about: "the one of median length; drag to zoom", label: "ms",
      rows: ["step", "part", "layer", "op"].slice(0, depth), height: depth * 34 + 60,
      given: timeline.map((span) => ({
        row: span.depth, from: span.start_us / 1000, to: (span.start_us + span.elapsed_us) / 1000, label: span.name, fill: fill(span),
        text: `${span.name}${span.pass ? `, ${span.pass}` : ""}: ${number(span.elapsed_us)} µs from ${number(span.start_us / 1000)} ms on${span.arrays ? `, arrays ${span.arrays}` : ""}`,
      })),
      keys: el("div", { class: "keys" }, ...Object.entries({ ...PASSES, data: ink(6) }).map(([name, fill]) => el("span", {}, el("i", { style: `background: ${fill}` }), name))),
      columns: () => Object.fromEntries(["name", "pass", "start_us", "elapsed_us", "depth"].map((key) => [key, timeline.map((span) => span[key])])),
    });
  }

  function roofs({ ops, peak, levels }) {
    const sorted = [...ops].sort((a, b) => a.intensity - b.intensity);
    const [low, high] = [Math.min(0.05, sorted[0].intensity / 2), Math.max(200, sorted.at(-1).intensity * 2)];
    const grid = Array.from({ length: 61 }, (_, k) => low * (high / low) ** (k / 60));
    const points = [...grid.map((x) => ({ x })), ...sorted.map((op) => ({ x: op.intensity, op }))].sort((a, b) => a.x - b.x);
    const xs = points.map((p) => p.x);
    const loud = new Set([...ops].sort((a, b) => b.share - a.share).slice(0, 8));
    const radius = (op) => (3 + 22 * Math.sqrt(op.share)) * devicePixelRatio;
    const draw = within((u) => {
      const { ctx } = u;
      for (const op of ops) {
        const [x, y] = [u.valToPos(op.intensity, "x", true), u.valToPos(op.gflop_per_s, "y", true)];
        ctx.beginPath();
        ctx.arc(x, y, radius(op), 0, 2 * Math.PI);
        ctx.globalAlpha = 0.45;
        ctx.fillStyle = ink(op.bound === "memory" ? 1 : 0);
        ctx.fill();
      }
      ctx.globalAlpha = 1;
      ctx.fillStyle = colour("--ink");
      const taken = [];
      for (const op of loud) { // the largest first, each at the first place below its disc where it covers no other name
        const x = u.valToPos(op.intensity, "x", true) + radius(op) + 2;
        const size = 14 * devicePixelRatio;
        const covers = (y) => taken.some((t) => Math.abs(t.y - y) < size && x < t.end && t.x < x + ctx.measureText(op.name).width);
        let y = u.valToPos(op.gflop_per_s, "y", true);
        while (covers(y)) y += size / 2;
        taken.push({ x, y, end: x + ctx.measureText(op.name).width });
        ctx.fillText(op.name, x, y);
      }
    });
    function near(u) {
      if (u.cursor.left === undefined || u.cursor.left < 0) return null;
      const away = sorted.map((op) => Math.hypot(u.valToPos(op.intensity, "x") - u.cursor.left, u.valToPos(op.gflop_per_s, "y") - u.cursor.top));
      const k = away.indexOf(Math.min(...away));
      return away[k] < 25 ? k : null;
    }
    const rates = sorted.map((op) => op.gflop_per_s);
    const floor = Math.min(...rates, peak / 1000) / 2;
    chart("roofline", $("speed-roofline"), {
      title: "roofline", about: "every op of the step: a disc as large as its share; measured ceilings as lines", near,
      values: [xs, ...levels.map(({ gb_per_s }) => xs.map((x) => Math.min(peak, x * gb_per_s)))],
      columns: () => Object.fromEntries(["name", "intensity", "gflop_per_s", "share", "roof", "bound"].map((key) => [key, sorted.map((op) => op[key])])),
      options: {
        height: 360,
        scales: { x: { time: false, distr: 3 }, y: { distr: 3, range: [floor, peak * 3] } },
        axes: [{ label: "operations per byte", size: 34 }, { label: "GFLOP/s", size: 58, values: ticks }],
        series: [{ label: "FLOP/B", value: (u, v) => number(v) }, ...levels.map(({ name }, k) => ({ label: name, stroke: INKS[(k + 2) % INKS.length], width: 1.5, pxAlign: 0, points: { show: false }, value: (u, v) => number(v) }))],
        hooks: { draw: [draw] },
      },
      stops: {
        count: sorted.length, x: (i) => sorted[i].intensity, y: (i) => sorted[i].gflop_per_s,
        text: (i) => `${sorted[i].name}: ${number(sorted[i].intensity)} FLOP/B, ${number(sorted[i].gflop_per_s)} GFLOP/s, ${(100 * sorted[i].share).toPrecision(2)} % of the step` + (sorted[i].roof ? `, ${(100 * sorted[i].roof).toPrecision(2)} % of its ${sorted[i].bound} roof` : ""),
      },
    });
  }

  // --------------------------------------------------------------------------------------------- theme, and on paper
  let printing = false;
  const redraw = () => Object.values(charts).forEach((u) => u.redraw(false));
  const THEMES = ["auto", "light", "dark"];
  function theme(name) {
    root.dataset.theme = name;
    $("theme").textContent = `theme: ${name}`;
    redraw();
  }
  $("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const PAPER = 680; // CSS pixels between the margins of A4
  let before = null;
  addEventListener("beforeprint", () => {
    printing = true;
    before = { theme: root.dataset.theme, closed: [...document.querySelectorAll("details:not([open])")] };
    before.closed.forEach((one) => { one.open = true; });
    for (const u of Object.values(charts)) u.setSize({ width: PAPER, height: u.height });
    theme("light");
  });
  addEventListener("afterprint", () => {
    printing = false;
    before.closed.forEach((one) => { one.open = false; });
    for (const u of Object.values(charts)) u.setSize({ width: u.root.parentElement.clientWidth, height: u.height });
    theme(before.theme);
  });

  for (const section of document.querySelectorAll("[data-needs]")) {
    const needs = section.dataset.needs;
    if (!(needs in data.sections)) { section.remove(); continue; }
    SECTIONS[needs](data.sections[needs]);
    const heading = section.querySelector("h2");
    $("contents").append(el("li", {}, el("a", { href: `#${section.id}` }, heading.textContent)));
  }
  theme("auto");
  root.dataset.ready = "yes";
  return { data, charts };
})();
