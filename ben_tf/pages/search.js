"use strict";
// The search page: its state stands in the address, so that a search can be
// shared and found again.

const find = (id) => document.getElementById(id);
const UNKNOWN_DAY = -2147483648, DAY_MS = 86400000;
const REST_MS = 200;
const LISTS = ["labels_all", "labels_any", "labels_none", "countries",
  "seasons", "splits"];
const SIGNS = {labels_any: "one of:", labels_all: "all of:",
  labels_none: "none of:"};

// `shown`: the examples and the hits that are on the page.
let about = null, map = null, columns = null, shown = null;
let running = 0, sending = 0, rest = 0;
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

// Puts other children into a part of the page; the keyboard stays where it was.
function redraw(part, children) {
  const old = document.activeElement, is_inside = part.contains(old);
  part.replaceChildren(...children);
  if (!is_inside) return;
  const same = [...part.querySelectorAll("[data-key]")].find(
    (other) => other.dataset.key === old.dataset.key);
  (same || find("hits-heading")).focus({preventScroll: true});
}

const ask_json = async (...all) => (await ask(...all)).json();

function set_busy(is_busy) {
  find("hits").setAttribute("aria-busy", String(is_busy));
}

function say(sentence, error = "") {
  find("status").textContent = sentence;
  find("error").textContent = error;
}

// --- The address -------------------------------------------------------------

function read_address() {
  const given = new URLSearchParams(location.hash.slice(1));
  state.upload = "";
  for (const name of ["p", "n", ...LISTS]) state[name] = given.getAll(name);
  for (const name of ["index", "first_day", "last_day", "bbox"])
    state[name] = given.get(name) || "";
  state.k = Math.max(1, Math.min(200, Number(given.get("k")) || 12));
  state.picture = given.get("picture") || "true_colour";
  const view = (given.get("view") || "").split(",").map(Number);
  state.view = view.length === 3 && view.every(Number.isFinite) ? view : null;
}

// A search is a step of the browser's history; a view of the map is not.
function write_address(is_step = false) {
  const kept = new URLSearchParams();
  for (const name of ["p", "n", ...LISTS])
    for (const value of state[name]) kept.append(name, value);
  for (const name of ["index", "first_day", "last_day", "bbox"])
    if (state[name]) kept.set(name, state[name]);
  if (state.k !== 12) kept.set("k", state.k);
  if (state.picture !== "true_colour") kept.set("picture", state.picture);
  if (state.view) kept.set("view", state.view.join(","));
  const address = `#${kept}`;
  if (address === (location.hash || "#")) return;
  if (is_step) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// Takes the state from the address, as it is at the start and after "Back".
function take_address() {
  read_address();
  if (!index_facts()) state.index = about.indexes[0].name;
  if (!(state.picture in about.pictures)) state.picture = "true_colour";
  find("index").value = state.index;
  find("picture").value = state.picture;
  show_index();
  show_filters();
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
    redraw(find(id), choices.map((value) => {
      const box = element("input", {type: "checkbox", "data-key": value,
        onchange: (event) => {
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
  redraw(find("chosen-labels"), Object.keys(SIGNS).flatMap((kind) =>
    state[kind].map((label) => element("li", {}, element("button", {
      type: "button", "data-key": label, "aria-label": `Remove the filter ${SIGNS[kind]} ${label}`,
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
    title: about.pictures[kind], alt: `${about.pictures[kind]} of ${card.name}`});
  const labels = (card.labels || []).map((label) => {
    const shared = asked_labels && asked_labels.includes(label);
    const kind = !asked_labels ? "own" : shared ? "shared" : "extra";
    const sign = !asked_labels ? "" : shared ? "\u2713 " : "+ ";
    return element("li", {class: kind}, `${sign}${label}`);
  });
  const facts = [card.country, card.season, card.date_utc, card.split]
    .filter(Boolean).map((fact, place, all) => element("span", {},
      place < all.length - 1 ? `${fact}, ` : fact));
  const act = (text, label, onclick, more = {}) => element("button", {
    type: "button", "aria-label": label, "data-key": label, onclick, ...more}, text);
  const press = (list, text, label) => act(text, `${label}: ${card.name}`,
    () => toggle(list, card.name),
    {"aria-pressed": String(state[list].includes(card.name))});
  return element("article", {class: "hit-card"},
    element("h3", {}, title),
    element("div", {class: "pictures"}, image(state.picture),
      element("div", {class: "small"}, ...others.map(image))),
    // Names may break after each underscore.
    element("p", {class: "name"}, ...card.name.split(/(?<=_)/).flatMap(
      (part) => [part, element("wbr")])),
    facts.length ? element("p", {class: "quiet facts"}, ...facts) : null,
    element("ul", {class: "labels"}, ...labels),
    element("div", {class: "acts"},
      // What was sent cannot be refined by others.
      ...(state.upload ? [] : [press("p", "+ more like it", "more like it"),
        press("n", "\u2212 less like it", "less like it")]),
      card.upload ? null : act("Search", `Search for ${card.name}`,
        () => ask_for(card.name)),
      card.longitude_deg === null ? null : act("Map",
        `Map: show ${card.name}`,
        () => map.showPlace(card.longitude_deg, card.latitude_deg))));
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

function show_nothing() {
  shown = null;
  set_busy(false);
  redraw(find("examples"), []);
  redraw(find("hits"), []);
  find("tools").hidden = true;
  map.setMarks([], []);
}

async function search(is_step = true) {
  write_address(is_step);
  find("left").textContent = "";
  const number = ++running;
  if (!state.p.length && !state.upload) {
    show_nothing();
    say("Choose a patch on the map or by its name.");
    return;
  }
  set_busy(true);
  say("Searching ...");
  try {
    const examples = state.upload ? [state.upload] : await Promise.all(
      [...state.p, ...state.n].map((name) => ask_json(
        `patches/${encodeURIComponent(name)}?index=${encodeURIComponent(state.index)}`)));
    const found = await ask_json("query", body("json"));
    // A later search may have answered first.
    if (number !== running) return;
    shown = {examples, answer: found.answers[0]};
    show_answer();
  } catch (error) {
    if (number !== running) return;
    // The hits of another query would be taken for those of this one.
    show_nothing();
    say("", error.message);
  }
}

function show_answer() {
  const {examples, answer: {query, hits}} = shown;
  set_busy(false);
  const wanted = query.labels || (examples.length
    ? [...new Set(examples.slice(0, Math.max(1, state.p.length))
      .flatMap((one) => one.labels || []))] : null);
  const cards = examples.map((one) => {
    const liked = state.upload || state.p.includes(one.name);
    const card = draw_card(one, null, liked ? "Like this" : "Not like this");
    card.classList.add("asked");
    return card;
  });
  redraw(find("examples"), cards);
  redraw(find("hits"), hits.map((hit) => element("li", {}, draw_card(
    hit, wanted, `${hit.rank}. distance ${hit.distance.toPrecision(4)}`))));
  find("tools").hidden = false;
  const place = (one) => one.longitude_deg === null ? []
    : [[one.longitude_deg, one.latitude_deg]];
  map.setMarks(examples.flatMap(place), hits.flatMap(place));
  const kind = index_facts().distance.replace("_", "-");
  say(hits.length
    ? `${hits.length} hits, nearest first, by ${kind} distance.`
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

// A place that is typed: two numbers; null for none.
function typed_point() {
  const parts = find("point").value.split(",").map((part) => part.trim());
  if (parts.length === 1 && !parts[0]) return null;
  if (parts.length !== 2 || !parts.every(
    (part) => part && Number.isFinite(Number(part))))
    throw new Error("Expected two numbers: longitude, latitude.");
  return {longitude: parts[0], latitude: parts[1]};
}

// Searches for what is not of the index; `ask_for_it` says what it is.
async function search_own(sentence, ask_for_it) {
  const number = ++sending;
  say(sentence);
  try {
    const sent = await ask_for_it();
    // What was sent later counts.
    if (number !== sending) return;
    Object.assign(state, {p: [], n: [], upload: sent});
    await search();
  } catch (error) {
    if (number === sending) say("", error.message);
  }
}

const upload = (files) => search_own("Sending the patch ...", () => {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  const asked = new URLSearchParams({index: state.index, ...typed_point()});
  return ask_json(`uploads?${asked}`, {method: "POST", body: form});
});

const search_window = (longitude, latitude) => search_own(
  "Reading the scene ...", () => ask_json(`windows?${new URLSearchParams(
    {index: state.index, longitude, latitude})}`, {method: "POST"}));

const is_in_scene = () => find("in-scene").getAttribute("aria-pressed") === "true";

// --- Start -------------------------------------------------------------------

async function load_points() {
  const {index} = state;
  const response = await ask(`points?index=${encodeURIComponent(index)}`);
  const data = await response.arrayBuffer();
  // Somebody has chosen another one meanwhile.
  if (index !== state.index) return;
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

// Takes what another index does not have out of query and filters; returns it.
async function leave_unknown() {
  const {index} = state, facts = index_facts(), kept = {};
  for (const list of LISTS) {
    const choices = list === "splits" ? facts.splits
      : list.startsWith("labels") ? facts.class_names : state[list];
    kept[list] = state[list].filter((value) => choices.includes(value));
  }
  for (const list of ["p", "n"]) {
    // The first name that begins with a whole one is that one.
    const first = await Promise.all(state[list].map(
      (prefix) => ask_patches({prefix, limit: 1})));
    kept[list] = state[list].filter(
      (name, place) => first[place].length && first[place][0].name === name);
  }
  if (!kept.p.length) kept.n = [];
  // Somebody has chosen another one meanwhile.
  if (index !== state.index) return [];
  const left = Object.keys(kept).flatMap(
    (list) => state[list].filter((value) => !kept[list].includes(value)));
  Object.assign(state, kept);
  return left;
}

function show_index() {
  const facts = index_facts();
  find("facts").textContent = [
    `${facts.num_patches.toLocaleString("en")} patches of ${facts.dataset || "an unknown dataset"}`,
    `(${facts.splits.join(", ")})`,
    `${facts.modality}, ${facts.distance.replace("_", "-")} distance,`,
    `${facts.search} search; model ${facts.model || "unknown"}`,
    `${facts.model_fingerprint.slice(0, 12)}; ${about.software}`].join(" ");
}

function listen() {
  find("by-name").addEventListener("submit", (event) => {
    event.preventDefault();
    if (find("name").value.trim()) ask_for(find("name").value.trim());
  });
  find("name").addEventListener("input", async () => {
    const prefix = find("name").value.trim();
    const found = await ask_patches({prefix, limit: 20});
    // What was typed since has suggestions of its own.
    if (prefix !== find("name").value.trim()) return;
    find("names").replaceChildren(...found.map(
      (patch) => element("option", {value: patch.name})));
  });
  find("files").addEventListener("click", () => {
    // The same files may be chosen once more.
    find("files").value = "";
  });
  for (const id of ["files", "point"])
    find(id).addEventListener("change", () => {
      if (find("files").files.length) upload([...find("files").files]);
    });
  find("by-upload").addEventListener("submit", (event) => event.preventDefault());
  find("in-scene").addEventListener("click", () => {
    find("in-scene").setAttribute("aria-pressed", String(!is_in_scene()));
    if (!is_in_scene()) return;
    const {outline} = about.scene;
    map.showPlace(...[0, 1].map((axis) => outline.reduce(
      (sum, corner) => sum + corner[axis] / outline.length, 0)));
  });
  window.addEventListener("popstate", async () => {
    const {index} = state;
    take_address();
    if (index !== state.index) await load_points();
    else if (state.view) map.view = state.view;
    filter_points();
    search(false);
  });
  find("index").addEventListener("change", async () => {
    state.index = find("index").value;
    show_index();
    const left = await leave_unknown();
    show_filters();
    await load_points();
    await search();
    if (left.length) find("left").textContent = `The index ${state.index} `
      + `does not have these, which were left out: ${left.join(", ")}.`;
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
    write_address();
    show_answer();
  });
  for (const button of document.querySelectorAll("[data-format]"))
    button.addEventListener("click", () => download(button.dataset.format));
  const middle = () => [map.element.clientWidth / 2, map.element.clientHeight / 2];
  find("zoom-in").addEventListener("click", () => map.zoom(1.6, ...middle()));
  find("zoom-out").addEventListener("click", () => map.zoom(1 / 1.6, ...middle()));
  find("whole").addEventListener("click", () => map.showAll());
}

async function ask_patches(asked) {
  try {
    const found = await ask_json(
      `patches?${new URLSearchParams({index: state.index, ...asked})}`);
    return found.patches;
  } catch (error) {
    say(find("status").textContent, error.message);
    return [];
  }
}

async function start() {
  find("filter-details").open = window.matchMedia("(min-width: 60rem)").matches;
  map = new PatchMap(find("canvas"), {
    pick: async (row) => {
      const [patch] = await ask_patches({row});
      if (patch) ask_for(patch.name);
    },
    place: (longitude, latitude) => {
      if (is_in_scene()) search_window(longitude, latitude);
      return is_in_scene();
    },
    box: (box) => {
      state.bbox = box.map((degree) => degree.toFixed(4)).join(",");
      changed();
    },
    moved: () => {
      state.view = map.view;
      // Browsers refuse an address that changes with every picture.
      clearTimeout(rest);
      rest = setTimeout(write_address, REST_MS);
    },
  });
  about = await ask_json("about");
  find("index").replaceChildren(...about.indexes.map(
    (one) => element("option", {value: one.name}, one.name)));
  find("index-choice").hidden = about.indexes.length < 2;
  find("picture").replaceChildren(...Object.entries(about.pictures).map(
    ([key, name]) => element("option", {value: key}, name)));
  if (about.scene) {
    find("scene").textContent = about.scene.name;
    find("scene-choice").hidden = false;
    map.setScene(about.scene.outline);
  }
  take_address();
  listen();
  const outlines = ask_json("outlines").then((lines) => {
    map.setOutlines(lines);
  }, () => {});
  await load_points();
  await search(false);
  await outlines;
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => say("", error.message));
