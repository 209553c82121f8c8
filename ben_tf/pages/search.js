"use strict";
// The search page: its state stands in the address, so that a search can be
// shared and found again.

const find = (id) => document.getElementById(id);
const UNKNOWN = 255, UNKNOWN_DAY = -2147483648, DAY_MS = 86400000;
const LISTS = ["labels_all", "labels_any", "labels_none", "countries",
  "seasons", "splits"];
const SIGNS = {labels_any: "one of:", labels_all: "all of:",
  labels_none: "none of:"};

let about = null, map = null, columns = null, answer = null, running = 0;
const state = {index: "", p: [], n: [], upload: "", k: 12,
  picture: "true_colour", first_day: "", last_day: "", bbox: "", view: null};
for (const name of LISTS) state[name] = [];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function ask(path, options = {}) {
  const response = await fetch(`/api/v1/${path}`, options);
  if (!response.ok) {
    let sentence = response.statusText;
    try {
      sentence = (await response.json()).error || sentence;
    } catch {
      // Not of this server: the status says all there is.
    }
    throw new Error(sentence);
  }
  return response;
}

const ask_json = async (...all) => (await ask(...all)).json();

function say(sentence, error = "") {
  find("status").textContent = sentence;
  find("error").textContent = error;
}

// --- The address -------------------------------------------------------------

function read_address() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of ["p", "n", ...LISTS]) state[name] = given.getAll(name);
  for (const name of ["index", "first_day", "last_day", "bbox"])
    state[name] = given.get(name) || "";
  state.k = Math.max(1, Math.min(200, Number(given.get("k")) || 12));
  state.picture = given.get("picture") || "true_colour";
  const view = (given.get("view") || "").split(",").map(Number);
  state.view = view.length === 3 && view.every(Number.isFinite) ? view : null;
}

function write_address() {
  const kept = new URLSearchParams();
  for (const name of ["p", "n", ...LISTS])
    for (const value of state[name]) kept.append(name, value);
  for (const name of ["index", "first_day", "last_day", "bbox"])
    if (state[name]) kept.set(name, state[name]);
  if (state.k !== 12) kept.set("k", state.k);
  if (state.picture !== "true_colour") kept.set("picture", state.picture);
  if (state.view) kept.set("view", state.view.join(","));
  history.replaceState(null, "", `#${kept}`);
}

// --- Filters -----------------------------------------------------------------

function where() {
  const conditions = {};
  for (const name of LISTS) conditions[name] = state[name];
  for (const name of ["first_day", "last_day"])
    if (state[name]) conditions[name] = state[name];
  if (state.bbox) conditions.bbox = state.bbox.split(",").map(Number);
  return conditions;
}

// Which patches of the map may be hits, as the server will decide.
function filter_points() {
  if (!columns) return;
  const {count} = columns, may = new Uint8Array(count).fill(1);
  const names = index_facts().class_names;
  const bits = (labels) => {
    const wanted = [0, 0];
    for (const label of labels) {
      const place = names.indexOf(label);
      if (place >= 0) wanted[place >> 5] |= 1 << (place & 31);
    }
    return wanted;
  };
  const all = bits(state.labels_all), any = bits(state.labels_any);
  const none = bits(state.labels_none);
  const has_any = state.labels_any.length > 0;
  const numbers = (name, choices) =>
    new Set(state[name].map((value) => choices.indexOf(value)));
  const countries = numbers("countries", about.countries);
  const seasons = numbers("seasons", about.seasons);
  const splits = numbers("splits", index_facts().splits);
  const first = state.first_day ? Date.parse(state.first_day) / DAY_MS : -Infinity;
  const last = state.last_day ? Date.parse(state.last_day) / DAY_MS : Infinity;
  const has_days = Boolean(state.first_day || state.last_day);
  const box = state.bbox ? state.bbox.split(",").map(Number) : null;
  let num = 0;
  for (let row = 0; row < count; row++) {
    const low = columns.low[row], high = columns.high[row];
    const day = columns.day[row];
    let met = (low & all[0]) === all[0] && (high & all[1]) === all[1]
      && !(low & none[0]) && !(high & none[1])
      && (!has_any || (low & any[0]) !== 0 || (high & any[1]) !== 0)
      && (!countries.size || countries.has(columns.country[row]))
      && (!seasons.size || seasons.has(columns.season[row]))
      && (!splits.size || splits.has(columns.split[row]))
      && (!has_days || (day !== UNKNOWN_DAY && day >= first && day <= last));
    if (met && box) {
      const x = columns.longitude[row], y = columns.latitude[row];
      const across = box[0] <= box[2] ? x >= box[0] && x <= box[2]
        : x >= box[0] || x <= box[2];
      met = across && y >= box[1] && y <= box[3];
    }
    may[row] = met ? 1 : 0;
    num += may[row];
  }
  map.setMay(may);
  find("count").textContent = num === count
    ? `All ${count.toLocaleString("en")} patches may be hits.`
    : `${num.toLocaleString("en")} of ${count.toLocaleString("en")} patches may be hits.`;
}

function show_filters() {
  for (const [id, choices] of [["countries", about.countries],
    ["seasons", about.seasons], ["splits", index_facts().splits]]) {
    find(id).replaceChildren(...choices.map((value) => {
      const box = element("input", {type: "checkbox", onchange: (event) => {
        state[id] = event.target.checked ? [...state[id], value]
          : state[id].filter((other) => other !== value);
        changed();
      }});
      box.checked = state[id].includes(value);
      return element("label", {class: "choice"}, box, ` ${value}`);
    }));
  }
  find("split-choice").hidden = index_facts().splits.length < 2;
  find("label").replaceChildren(...index_facts().class_names.map(
    (name) => element("option", {value: name}, name)));
  find("chosen-labels").replaceChildren(...Object.keys(SIGNS).flatMap((kind) =>
    state[kind].map((label) => element("li", {}, element("button", {
      type: "button", "aria-label": `Remove the filter ${SIGNS[kind]} ${label}`,
      onclick: () => {
        state[kind] = state[kind].filter((other) => other !== label);
        changed();
      }}, `${SIGNS[kind]} ${label} \u00d7`)))));
  for (const name of ["first_day", "last_day", "bbox", "k"])
    find(name).value = state[name];
}

function changed() {
  show_filters();
  filter_points();
  search();
}

// --- Query and hits ----------------------------------------------------------

const index_facts = () => about.indexes.find((one) => one.name === state.index);

function picture_address(card, kind) {
  const key = card.upload ? `uploads/${card.upload}`
    : `patches/${encodeURIComponent(card.name)}`;
  return `/api/v1/${key}/${kind}.png`;
}

function toggle(list, name) {
  const other = list === "p" ? "n" : "p";
  state[other] = state[other].filter((one) => one !== name);
  state[list] = state[list].includes(name)
    ? state[list].filter((one) => one !== name) : [...state[list], name];
  if (!state.p.length && state.n.length && !state.upload) {
    state.n = [];
    say("", "Name a patch to search for first.");
  }
  search();
}

function draw_card(card, asked_labels, title) {
  const others = Object.keys(about.pictures).filter(
    (kind) => kind !== state.picture);
  const image = (kind) => element("img", {
    src: picture_address(card, kind), loading: "lazy", width: 120, height: 120,
    alt: `${about.pictures[kind]} of ${card.name}`});
  const labels = (card.labels || []).map((label) => {
    const shared = asked_labels && asked_labels.includes(label);
    const kind = !asked_labels ? "own" : shared ? "shared" : "extra";
    const sign = !asked_labels ? "" : shared ? "\u2713 " : "+ ";
    return element("li", {class: kind}, `${sign}${label}`);
  });
  const facts = [card.country, card.season, card.date_utc, card.split]
    .filter(Boolean).join(", ");
  const press = (list, name, text) => element("button", {type: "button",
    "aria-pressed": String(state[list].includes(name)),
    "aria-label": `${text}: ${name}`, title: text, onclick: () => toggle(list, name)},
    list === "p" ? "+ more like it" : "\u2212 less like it");
  return element("article", {class: "hit-card"},
    element("h3", {}, title),
    image(state.picture),
    element("div", {class: "small"}, ...others.map(image)),
    element("p", {}, card.name),
    facts ? element("p", {class: "quiet"}, facts) : null,
    element("ul", {class: "labels"}, ...labels),
    element("div", {class: "acts"},
      ...(card.upload || card.is_combined ? [] : [
        press("p", card.name, "More like this"),
        press("n", card.name, "Less like this"),
        element("button", {type: "button", "aria-label":
          `Search for ${card.name}`, onclick: () => ask_for(card.name)}, "Search")]),
      card.longitude_deg === null ? null : element("button", {type: "button",
        "aria-label": `Show ${card.name} on the map`,
        onclick: () => map.showPlace(card.longitude_deg, card.latitude_deg)},
      "Map")));
}

function ask_for(name) {
  Object.assign(state, {p: [name], n: [], upload: ""});
  search();
}

function body(format) {
  const asked = {index: state.index, where: where(), k: state.k, format};
  if (state.upload) asked.upload = state.upload.upload;
  else Object.assign(asked, {positives: state.p, negatives: state.n});
  return {method: "POST", headers: {"content-type": "application/json"},
    body: JSON.stringify(asked)};
}

async function search() {
  write_address();
  const number = ++running;
  find("clear").hidden = !(state.p.length || state.n.length || state.upload);
  if (!state.p.length && !state.upload) {
    answer = null;
    find("hits").replaceChildren();
    find("examples").replaceChildren();
    find("tools").hidden = true;
    map.setMarks([], []);
    say("Choose a patch on the map or by its name.");
    return;
  }
  say("Searching ...");
  try {
    const examples = state.upload ? [state.upload] : await Promise.all(
      [...state.p, ...state.n].map((name) => ask_json(
        `patches/${encodeURIComponent(name)}?index=${encodeURIComponent(state.index)}`)));
    const found = await ask_json("query", body("json"));
    // A later search may have answered first.
    if (number !== running) return;
    answer = found;
    show_answer(examples);
  } catch (error) {
    if (number !== running) return;
    say("", error.message);
  }
}

function show_answer(examples) {
  const [{query, hits}] = answer.answers;
  const wanted = query.labels || (examples.length
    ? [...new Set(examples.slice(0, Math.max(1, state.p.length))
      .flatMap((one) => one.labels || []))] : null);
  const cards = examples.map((one) => {
    const liked = state.upload || state.p.includes(one.name);
    const card = draw_card(one, null, liked ? "Like this" : "Not like this");
    card.classList.add("asked");
    return card;
  });
  find("examples").replaceChildren(...cards);
  find("hits").replaceChildren(...hits.map((hit) => element("li", {},
    draw_card(hit, wanted, `${hit.rank}: ${hit.distance.toPrecision(4)}`))));
  find("tools").hidden = !hits.length;
  const place = (one) => one.longitude_deg === null ? []
    : [[one.longitude_deg, one.latitude_deg]];
  map.setMarks(examples.flatMap(place), hits.flatMap(place));
  const kind = index_facts().distance.replace("_", "-");
  say(hits.length
    ? `${hits.length} hits, nearest first; the numbers are ${kind} distances.`
    : "No patch meets the filters.");
}

async function download(format) {
  try {
    const response = await ask("query", body(format));
    const address = URL.createObjectURL(await response.blob());
    const link = element("a", {href: address, download: `hits.${format}`});
    link.click();
    URL.revokeObjectURL(address);
  } catch (error) {
    say(find("status").textContent, error.message);
  }
}

async function upload(files) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  say("Sending the patch ...");
  try {
    const sent = await ask_json(
      `uploads?index=${encodeURIComponent(state.index)}`,
      {method: "POST", body: form});
    Object.assign(state, {p: [], n: [], upload: sent});
    await search();
  } catch (error) {
    say("", error.message);
  }
}

// --- Start -------------------------------------------------------------------

async function load_points() {
  const response = await ask(`points?index=${encodeURIComponent(state.index)}`);
  const data = await response.arrayBuffer();
  const count = index_facts().num_patches;
  let offset = 0;
  const take = (kind) => {
    const column = new kind(data, offset, count);
    offset += column.byteLength;
    return column;
  };
  columns = {count, longitude: take(Float32Array), latitude: take(Float32Array),
    low: take(Uint32Array), high: take(Uint32Array), day: take(Int32Array),
    country: take(Uint8Array), season: take(Uint8Array), split: take(Uint8Array)};
  map.setPoints(columns.longitude, columns.latitude);
  if (state.view) map.view = state.view;
  else map.showAll();
  filter_points();
}

function show_index() {
  const facts = index_facts();
  find("facts").textContent = [
    `${facts.num_patches.toLocaleString("en")} patches of ${facts.dataset || "an unknown dataset"}`,
    `(${facts.splits.join(", ")})`,
    `${facts.modality}, ${facts.distance.replace("_", "-")} distance,`,
    `${facts.search} search; model ${facts.model || "unknown"}`,
    facts.model_fingerprint.slice(0, 12), `; ${about.software}`].join(" ");
}

function listen() {
  find("by-name").addEventListener("submit", (event) => {
    event.preventDefault();
    if (find("name").value.trim()) ask_for(find("name").value.trim());
  });
  find("name").addEventListener("input", async () => {
    const prefix = find("name").value.trim();
    const found = await ask_json(`patches?index=${encodeURIComponent(state.index)}`
      + `&prefix=${encodeURIComponent(prefix)}&limit=20`);
    find("names").replaceChildren(...found.patches.map(
      (patch) => element("option", {value: patch.name})));
  });
  find("files").addEventListener("change", () => {
    if (find("files").files.length) upload(find("files").files);
  });
  find("index").addEventListener("change", async () => {
    Object.assign(state, {index: find("index").value, upload: ""});
    for (const name of LISTS) state[name] = [];
    show_index();
    show_filters();
    await load_points();
    search();
  });
  find("clear").addEventListener("click", () => {
    Object.assign(state, {p: [], n: [], upload: ""});
    search();
    find("name").focus();
  });
  find("add-label").addEventListener("click", () => {
    const kind = find("label-kind").value, label = find("label").value;
    if (!state[kind].includes(label)) state[kind] = [...state[kind], label];
    changed();
  });
  for (const name of ["first_day", "last_day", "bbox"])
    find(name).addEventListener("change", () => {
      const text = find(name).value.trim();
      if (name === "bbox" && text && !(text.split(",").length === 4
        && text.split(",").every((part) => part.trim()
          && Number.isFinite(Number(part))))) {
        say("", "Expected four numbers: west, south, east, north.");
        return;
      }
      state[name] = text;
      changed();
    });
  find("k").addEventListener("change", () => {
    state.k = Math.max(1, Math.min(200, Number(find("k").value) || 12));
    changed();
  });
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("no-filters").addEventListener("click", () => {
    for (const name of LISTS) state[name] = [];
    Object.assign(state, {first_day: "", last_day: "", bbox: ""});
    changed();
  });
  find("picture").addEventListener("change", () => {
    state.picture = find("picture").value;
    search();
  });
  for (const button of document.querySelectorAll("[data-format]"))
    button.addEventListener("click", () => download(button.dataset.format));
  const middle = () => [map.element.clientWidth / 2, map.element.clientHeight / 2];
  find("zoom-in").addEventListener("click", () => map.zoom(1.6, ...middle()));
  find("zoom-out").addEventListener("click", () => map.zoom(1 / 1.6, ...middle()));
  find("whole").addEventListener("click", () => map.showAll());
}

async function start() {
  map = new PatchMap(find("canvas"), {
    pick: async (row) => {
      const found = await ask_json(
        `patches?index=${encodeURIComponent(state.index)}&row=${row}`);
      if (found.patches.length) ask_for(found.patches[0].name);
    },
    box: (box) => {
      state.bbox = box.map((degree) => degree.toFixed(4)).join(",");
      changed();
    },
    moved: () => {
      state.view = map.view;
      write_address();
    },
  });
  try {
    about = await ask_json("about");
  } catch (error) {
    say("", error.message);
    return;
  }
  read_address();
  if (!about.indexes.some((one) => one.name === state.index))
    state.index = about.indexes[0].name;
  if (!(state.picture in about.pictures)) state.picture = "true_colour";
  find("index").replaceChildren(...about.indexes.map(
    (one) => element("option", {value: one.name}, one.name)));
  find("index").value = state.index;
  find("index-choice").hidden = about.indexes.length < 2;
  find("picture").replaceChildren(...Object.entries(about.pictures).map(
    ([key, name]) => element("option", {value: key}, name)));
  find("picture").value = state.picture;
  listen();
  show_index();
  show_filters();
  ask_json("outlines").then((lines) => {
    map.outlines = lines.map((steps) => {
      const line = [];
      let [x, y] = [0, 0];
      for (let place = 0; place < steps.length; place += 2) {
        x += steps[place];
        y += steps[place + 1];
        line.push(mercator(x / 100, y / 100));
      }
      return line;
    });
    map.draw();
  }, () => {});
  await load_points();
  await search();
  document.documentElement.dataset.ready = "yes";
}

start();
