
"use strict";
(() => {
  const PER_PAGE = 25;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);

  window.addEventListener("error", (event) => {
    if (!event.message) return; // a picture that did not load: said in its place
    byId("trouble").textContent = `This page did not work: ${event.message}`;
    byId("trouble").hidden = false;
  });

  const data = JSON.parse(byId("data").textContent);
  const { run, normals } = data;
  const rows = data.rows.map((values, at) => {
    const row = Object.fromEntries(data.columns.map((name, column) => [name, values[column]]));
    row.rank = at + 1;
    row.status = row.score === null ? "failed" : row.anomalous ? "anomalous" : "normal";
    return row;
  });
  const threshold = run.model.score_threshold.value;
  const STATUSES = {
    all: ["All", () => true],
    anomalous: ["Anomalous", (row) => row.status === "anomalous"],
    normal: ["Normal", (row) => row.status === "normal"],
    failed: ["Failed", (row) => row.status === "failed"],
    warned: ["With a warning", (row) => row.warning !== ""],
  };
  const state = { status: "all", q: "", order: "worst", page: 1 };

  // ---- words ----

  // Whatever a file is called, its name must not change the look of what stands around it.
  const visible = (text) => text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udfff]/gu,
    (odd) => {
      const code = odd.codePointAt(0);
      if (odd === "\n") return "\\n";
      const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code; // of a name that is no text
      if (byte < 256) return `\\x${byte.toString(16).padStart(2, "0")}`;
      return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
    },
  );
  const number = (value, digits = 4) => String(Number(value.toPrecision(digits)));
  const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  function among(percentile) {
    if (percentile === null) return "no normal scans to compare with";
    const all = plural(normals.length, "normal scan");
    if (percentile >= 100) return `above all ${all}`;
    if (percentile <= 0) return `below all ${all}`;
    return `above ${number(percentile, 3)} % of ${all}`;
  }

  // ---- elements: text is set as text, never as markup ----

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  function shape(name, attributes, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const terms = (pairs) => pairs.filter(([, value]) => value !== null && value !== "").flatMap(
    ([name, value]) => [element("dt", { textContent: name }), element("dd", {}, value)],
  );

  // ---- the normal scans' scores, and where a scan lies among them ----

  const quantile = (sorted, share) => sorted[Math.round(share * (sorted.length - 1))];
  const scores = rows.filter((row) => row.score !== null).map((row) => row.score).sort((a, b) => a - b);
  const axis = (() => {
    const ends = [threshold];
    for (const list of [normals, scores]) if (list.length) ends.push(list[0], quantile(list, 0.95));
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const room = (high - low || Math.abs(high) || 1) * 0.04;
    return { low: low - room, high: high + room };
  })();
  const share = (value) => Math.min(1, Math.max(0, (value - axis.low) / (axis.high - axis.low)));

  function histogram(values, bins) {
    const counts = new Array(bins).fill(0);
    for (const value of values) counts[Math.min(bins - 1, Math.floor(share(value) * bins))] += 1;
    return counts;
  }

  function outline(counts, width, height, closed) {
    const highest = Math.max(1, ...counts);
    const step = width / counts.length;
    const tops = counts.map((count, at) => {
      const y = height - (0.94 * height * count) / highest;
      return `${closed || at ? "L" : "M"}${at * step},${y}L${(at + 1) * step},${y}`;
    });
    return closed ? `M0,${height}${tops.join("")}L${width},${height}Z` : tops.join("");
  }

  const bins = Math.max(10, Math.min(48, Math.round(2 * Math.sqrt(normals.length))));

  function strip(row) {
    const [width, height] = [300, 34];
    const x = share(row.score) * width;
    const at = share(threshold) * width;
    const beyond = row.score > axis.high || row.score < axis.low;
    const marker = beyond
      ? `M${x},${height / 2}l${x ? -9 : 9},-6v12z` : `M${x},${height - 11}l-5,-9h10z`;
    return shape(
      "svg",
      {
        viewBox: `0 0 ${width + 6} ${height + 15}`, role: "img",
        "aria-label": `score ${number(row.score)}, threshold ${number(threshold)}, ${among(row.normal_percentile)}`,
      },
      shape("path", { class: "bars", d: outline(histogram(normals, bins), width, height, true) }),
      shape("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
      shape("line", { class: "threshold", x1: at, x2: at, y1: 0, y2: height }),
      shape("line", { class: "here", x1: x, x2: x, y1: 0, y2: height }),
      beyond ? shape("path", { class: "tip", d: marker }) : shape("circle", { class: "tip", cx: x, cy: height, r: 4.5 }),
      text(Math.min(width - 38, Math.max(38, at)), height + 13, `threshold ${number(threshold, 3)}`),
    );
  }

  function slicesOf(row) {
    if (!row.profile) return null;
    const along = row.profile.split(": ").pop().split(" ").map(Number);
    const [first, last] = slicesSeen(row);
    const [width, height] = [300, 30];
    const [low, high] = [Math.min(...along), Math.max(...along)];
    const x = (at) => ((at - first + 0.5) * width) / row.slices;
    const y = (score) => height - 3 - ((height - 6) * (score - low)) / (high - low || 1);
    const step = width / along.length;
    const line = along.map((score, at) => `${at ? "L" : "M"}${at * step},${y(score)}L${(at + 1) * step},${y(score)}`);
    const worst = x(row.worst_slice);
    return shape(
      "svg",
      {
        viewBox: `0 0 ${width + 6} ${height + 15}`, role: "img",
        "aria-label": `scores of slices ${first} to ${last}, highest in slice ${row.worst_slice}`,
      },
      shape("path", { class: "along", d: line.join("") }),
      shape("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
      shape("circle", { class: "tip", cx: worst, cy: y(high), r: 3.5 }),
      text(Math.min(width - 30, Math.max(30, worst)), height + 13, `slice ${row.worst_slice}`),
      ...(worst > 70 ? [text(0, height + 13, `${first}`, "start")] : []),
      ...(worst < width - 70 ? [text(width, height + 13, `${last}`, "end")] : []),
    );
  }

  // The first and the last slice that the model looked at: a profile names the first if it is not 0.
  function slicesSeen(row) {
    const first = row.profile && row.profile.includes(":") ? parseInt(row.profile, 10) : 0;
    return [first, first + row.slices - 1];
  }

  function text(x, y, words, anchor = "middle") {
    const made = shape("text", { x, y, "text-anchor": anchor });
    made.textContent = words;
    return made;
  }

  function drawDistribution() {
    if (!scores.length && !normals.length) return;
    const [width, height] = [480, 84];
    const at = share(threshold) * width;
    const few = Math.max(10, Math.min(48, Math.round(2 * Math.sqrt(scores.length))));
    byId("distribution").append(
      shape(
        "svg",
        { viewBox: `-6 -14 ${width + 12} ${height + 30}`, role: "img", "aria-label": "Scores of the normal scans and of this run" },
        shape("path", { class: "bars", d: outline(histogram(normals, bins), width, height, true) }),
        shape("path", { class: "run", d: outline(histogram(scores, few), width, height, false) }),
        shape("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
        shape("line", { class: "threshold", x1: at, x2: at, y1: -2, y2: height }),
        text(Math.min(width - 60, Math.max(60, at)), -5, `threshold ${number(threshold)}`),
        text(0, height + 14, number(axis.low, 3), "start"),
        text(width, height + 14, `${number(axis.high, 3)}${[normals, scores].some((list) => list.at(-1) > axis.high) ? " and above" : ""}`, "end"),
        text(width / 2, height + 14, "score"),
      ),
      element("figcaption", {},
        element("span", {}, element("i", { className: "key" }), `${plural(normals.length, "normal scan")} of the validation`),
        element("span", {}, element("i", { className: "key run" }), `${plural(scores.length, "scan")} of this run`)),
    );
  }

  // ---- one scan ----

  function nameOf(scan) {
    const cut = scan.lastIndexOf("/") + 1;
    return element("bdi", {},
      element("span", { className: "folder", textContent: visible(scan.slice(0, cut)) }), visible(scan.slice(cut)));
  }

  function pictureOf(row) {
    if (!row.overlay) {
      const why = row.status === "failed" ? "" : "No picture was drawn of it (--overlays all draws all).";
      return element("p", { className: "rest", textContent: why });
    }
    const picture = element("img", {
      loading: "lazy", src: row.overlay, alt: `Worst slice of ${visible(row.scan)}: scan, map and mask`,
    });
    // The picture's own two lines of text say what stands beside it here.
    const crop = () => { picture.style.marginTop = `${(-100 * data.overlay_header) / (picture.naturalWidth || 1320)}%`; };
    const link = element("a", { href: row.overlay, target: "_blank", rel: "noopener", title: "Open the picture" }, picture);
    crop();
    picture.addEventListener("load", () => { crop(); link.dataset.loaded = ""; });
    picture.addEventListener("error", () => {
      link.replaceWith(element("p", { className: "message", textContent: "The picture is not where the run put it: keep this page together with its folders." }));
    });
    return element("div", { className: "picture" }, link);
  }

  function factsOf(row) {
    if (row.score === null) return null;
    const found = row.anomaly_volume_ml !== null ? `${number(row.anomaly_volume_ml, 3)} ml`
      : row.anomaly_area_px !== null ? `${row.anomaly_area_px.toLocaleString("en")} px` : "";
    const peak = [row.peak_x, row.peak_y, row.peak_z].filter((at) => at !== null);
    const place = peak.length === 2 ? `column ${peak[0]}, row ${peak[1]}` : `voxel ${peak.join(", ")}`;
    const mask = row.mask ? element("a", { href: row.mask, target: "_blank", rel: "noopener", textContent: "file" }) : null;
    return element("div", { className: "facts" },
      element("div", { className: "score" },
        element("strong", { textContent: number(row.score) }),
        element("span", { textContent: among(row.normal_percentile) })),
      strip(row), slicesOf(row) ?? "",
      element("dl", {}, ...terms([
        ["Lesions", row.lesions === null ? null : `${row.lesions}${row.lesions && found ? ` (${found})` : ""}`],
        ["Peak", peak.length && row.peak_value !== null ? `${place}: ${number(row.peak_value)}` : null],
        ["Worst slice", row.slices > 1 ? `${row.worst_slice} (of ${slicesSeen(row).join(" to ")})` : null],
        ["Mask", mask],
      ])));
  }

  function card(row) {
    const message = (kind, words) => words
      ? element("p", { className: "message" }, element("b", { textContent: `${kind}: ` }), visible(words)) : null;
    const made = element("li", { className: row.status, tabIndex: -1 },
      element("h2", {},
        element("span", { className: "rank", textContent: `#${row.rank}` }), nameOf(row.scan),
        element("span", { className: "badge", textContent: row.status })),
      message("Not scored", row.error), message("Warning", row.warning),
      factsOf(row), row.score === null ? null : pictureOf(row));
    return made;
  }

  // ---- the list ----

  const haystack = (row) => (row.text ??= `${row.scan}\n${row.warning}\n${row.error}`.normalize().toLowerCase());
  let found = rows;

  function find() {
    const [, wanted] = STATUSES[state.status];
    const words = state.q.normalize().toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((row) => wanted(row) && words.every((word) => haystack(row).includes(word)));
    if (state.order === "name") found.sort((a, b) => (a.scan < b.scan ? -1 : 1));
    state.page = Math.min(Math.max(1, state.page), pages());
  }

  const pages = () => Math.max(1, Math.ceil(found.length / PER_PAGE));

  function show() {
    find();
    const first = (state.page - 1) * PER_PAGE;
    const here = found.slice(first, first + PER_PAGE);
    byId("shown").textContent = found.length
      ? `${(first + 1).toLocaleString("en")} to ${(first + here.length).toLocaleString("en")} of ${plural(found.length, "scan")}, ${state.order === "name" ? "by name" : "worst first"}`
      : "";
    byId("scans").replaceChildren(...here.map(card));
    if (!found.length) byId("scans").append(element("p", { className: "none", textContent: "No scan is like that." }));
    for (const nav of document.querySelectorAll(".pages")) {
      const turn = (label, by, words) => element("button", {
        type: "button", textContent: label, ariaLabel: words, onclick: () => { turnTo(state.page + by); },
        disabled: state.page + by < 1 || state.page + by > pages(),
      });
      nav.replaceChildren(turn("‹", -1, "Previous page"), `page ${state.page} of ${pages()}`, turn("›", 1, "Next page"));
      nav.hidden = pages() === 1;
    }
    byId("query").value = byId("query") === document.activeElement ? byId("query").value : state.q;
    byId("order").value = state.order;
    for (const input of document.querySelectorAll("#statuses input")) input.checked = input.value === state.status;
  }

  // The state lives in the address, so that a view can be kept, sent and gone back to.
  const address = () => {
    const parameters = new URLSearchParams();
    if (state.status !== "all") parameters.set("status", state.status);
    if (state.q) parameters.set("q", state.q);
    if (state.order !== "worst") parameters.set("order", state.order);
    if (state.page !== 1) parameters.set("page", state.page);
    return `#${parameters}`;
  };

  function readAddress() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const status = parameters.get("status");
    state.status = Object.hasOwn(STATUSES, status ?? "") ? status : "all";
    state.q = parameters.get("q") ?? "";
    state.order = parameters.get("order") === "name" ? "name" : "worst";
    state.page = Number.parseInt(parameters.get("page") ?? "1", 10) || 1;
  }

  function change(changed) {
    Object.assign(state, { page: 1 }, changed);
    show();
    history.replaceState(null, "", address());
  }

  function turnTo(page) {
    if (page < 1 || page > pages()) return;
    change({ page });
    byId("controls").scrollIntoView();
    byId("scans").focus({ preventScroll: true });
  }

  function step(by) {
    const cards = [...byId("scans").querySelectorAll("li")];
    const at = cards.findIndex((it) => it.contains(document.activeElement));
    const next = at < 0 ? (by > 0 ? 0 : cards.length - 1) : at + by;
    if (next >= cards.length && state.page < pages()) { turnTo(state.page + 1); step(1); return; }
    if (next < 0 && state.page > 1) { turnTo(state.page - 1); step(-1); return; }
    cards[Math.min(cards.length - 1, Math.max(0, next))]?.focus();
  }

  // ---- the head ----

  function drawHead() {
    const { model, device, counts, timing } = run;
    const name = `${model.method}, study ${model.study}`;
    document.title = `uad-infer: ${plural(rows.length, "scan")}, ${name}`;
    const date = new Date(timing.finished);
    const day = date.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
    const leftOut = Object.values(run.left_out).reduce((sum, count) => sum + count, 0);
    const others = leftOut ? ` · ${plural(leftOut, "other file")} left out` : "";
    byId("what").textContent = `${plural(rows.length, "scan")}${others} · model ${name} · ${model.modality}`;
    const todo = counts.unfinished ? ` with ${counts.unfinished.toLocaleString("en")} still to do` : "";
    const why = run.missing.length ? `: ${run.missing.map(visible).join("; ")}` : todo;
    const left = run.outcome === "finished" ? "" : `${run.outcome}${why} · `;
    byId("when").textContent = `${left}${day} UTC · on ${device.got}`;
    const decided = model.anomalous_by === "mask" ? "its mask is not empty" : `its score is above ${number(threshold, 6)}`;
    byId("about").querySelector("dl").append(...terms([
      ["A scan is anomalous if", decided],
      ["Score threshold", `${number(threshold, 6)}: ${model.score_threshold.chosen_by}`],
      ["Map threshold", `${number(model.map_threshold.value, 6)}: ${model.map_threshold.chosen_by}`],
      ["Score", model.score_recipe],
      ["Normal scans", normals.length ? `${normals.length.toLocaleString("en")} of the validation, score ${number(normals[0], 6)} to ${number(normals.at(-1), 6)}` : "none recorded"],
      ["Takes", `${model.modality}, ${model.plane} slices at ${model.image_size.join(" × ")}`],
      ["Model file", `${visible(model.file)}, SHA-256 ${model.sha256}`],
      ["Registered", model.registered ? registered(model.registered) : ""],
      ["MLflow run", model.mlflow_run_id],
      ["Members", Object.entries(model.members).map(([member, id]) => `${member}: ${id}`).join("; ")],
      ["Code", model.git_commit + (model.git_dirty ? ", with uncommitted changes" : "")],
      ["Training data", model.data_hash],
      ["Beside the normal scans", Object.entries(data.monitoring.axes).map((pair) => pair.join(": ")).join(" · ")],
      ["Device", `${device.got} (${device.asked}: ${device.reason}), ${device.provider}`],
      ["Counts", Object.entries(counts).map(([kind, count]) => `${count.toLocaleString("en")} ${kind}`).join(" · ")],
      ["No scans known here", Object.entries(run.left_out).map(([ending, count]) => `${count.toLocaleString("en")} ${ending}`).join(" · ")],
      ["Finished", `${timing.finished}, after ${timing.seconds} s`],
      ["Versions", Object.entries(run.versions).map((pair) => pair.join(" ")).join(", ")],
    ]));
  }

  // Of a model that a registry was asked for: which version that was, and how sure it is.
  function registered({ asked, version, fetched, unconfirmed }) {
    const unsure = unconfirmed ? `, as fetched ${fetched}: whether that still held could not be asked` : "";
    return `${visible(asked)}: version ${version}${unsure}`;
  }

  // Scans that are not what the model was made for: said before any of them is looked at.
  function drawMonitoring() {
    const { warnings, notes } = data.monitoring;
    const line = (kind) => (words) => element("p", {}, element("b", { textContent: `${kind}: ` }), visible(words));
    byId("monitoring").append(...warnings.map(line("Warning")), ...notes.map(line("Note")));
    byId("monitoring").hidden = !warnings.length && !notes.length;
  }

  function drawStatuses() {
    for (const [key, [label, wanted]] of Object.entries(STATUSES)) {
      const count = rows.filter(wanted).length;
      if (key === "warned" && !count) continue;
      byId("statuses").append(element("label", { className: key },
        element("input", { type: "radio", name: "status", value: key, onchange: () => { change({ status: key }); } }),
        `${label} `, element("b", { textContent: count.toLocaleString("en") })));
    }
  }

  drawHead();
  drawMonitoring();
  drawDistribution();
  drawStatuses();
  byId("controls").addEventListener("submit", (event) => { event.preventDefault(); });
  byId("query").addEventListener("input", (event) => { change({ q: event.target.value }); });
  byId("order").addEventListener("change", (event) => { change({ order: event.target.value }); });
  window.addEventListener("hashchange", () => { readAddress(); show(); });
  window.addEventListener("beforeprint", () => {
    byId("about").open = true;
    for (const picture of document.images) picture.loading = "eager";
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input[type=search], select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const keys = {
      "/": () => { byId("query").focus(); byId("query").select(); },
      j: () => { step(1); }, k: () => { step(-1); },
      n: () => { turnTo(state.page + 1); }, p: () => { turnTo(state.page - 1); },
    };
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });
  readAddress();
  show();
  document.documentElement.dataset.ready = Math.round(performance.now()); // ms from opening it
})();
