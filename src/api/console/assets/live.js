// Live: keeps the list of alerts up to date. Changed rows are put in the place of old ones; new ones are announced and
// shown when the reader wants them, so that nothing moves under the cursor.

import { fragment } from "./fetch.js";
import { follow } from "./stream.js";

/** Revisions that come together are fetched together, ms; and so many at once. */
const TOGETHER = 100;
const AT_ONCE = 100;
/** More changes than these are a reason to read the list anew. */
const MUCH = 1000;

const list = () => document.getElementById("list");
const changed = new Set();
const fresh = new Set();
let old = false;
let busy = false;
let reading = false;

function announce() {
  const news = document.getElementById("news");
  const { dataset } = list();
  let text = "";
  if (old) text = dataset.old;
  else if (fresh.size > 0) text = dataset.new.replace("{n}", String(fresh.size));
  if (news.textContent === text) return;
  news.textContent = "";
  if (text === "") return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", () => show());
  news.append(button);
}

/** Puts a row in the place of the one it is a later state of; the keyboard stays where it was. */
function put(row) {
  const before = document.getElementById(row.id);
  if (!before) return false;
  if (Number(before.dataset.revision) > Number(row.dataset.revision)) return true;
  const focused = before.contains(document.activeElement);
  before.replaceWith(row);
  row.classList.add("changed");
  if (focused) row.querySelector("a").focus({ preventScroll: true });
  return true;
}

async function refresh() {
  if (busy) return;
  busy = true;
  while (changed.size > 0 && !old) {
    const ids = Array.from(changed).slice(0, AT_ONCE);
    ids.forEach((id) => changed.delete(id));
    const address = list().dataset.rows;
    const mark = address.includes("?") ? "&" : "?";
    const rows = await fragment(`${address}${mark}id=${ids.map(encodeURIComponent).join(",")}`);
    if (!rows) {
      old = true;
      break;
    }
    for (const row of rows) {
      if (!put(row) && row.hasAttribute("data-in")) fresh.add(row.dataset.alert);
    }
  }
  // An empty list has nothing that could move.
  if (fresh.size > 0 && !document.querySelector("#list tbody tr")) await read();
  announce();
  busy = false;
  // What came while the list was read.
  if (changed.size > 0 && !old) refresh();
}

/** Puts a list in the place of the one before; what stands in the search field, and the keyboard there, stay. */
function replace(next) {
  const before = list();
  const fold = before.querySelector("details.fold");
  const search = before.querySelector("form.search");
  const typing = document.activeElement.id === "q";
  next.querySelector("details.fold").open = fold.open;
  next.querySelector("form.search").replaceWith(search);
  before.replaceWith(next);
  if (typing) document.getElementById("q").focus({ preventScroll: true });
}

/** Reads the first page of the list anew and marks what was not there before. Once at a time; whether it was read. */
async function read() {
  if (reading) return false;
  reading = true;
  const shown = Array.from(fresh);
  const seen = Array.from(changed);
  const wasOld = old;
  old = false;
  const found = await fragment(list().dataset.list);
  reading = false;
  if (!found || found.length === 0) {
    old = old || wasOld;
    return false;
  }
  replace(found[0]);
  for (const id of shown) {
    const row = document.getElementById(`alert-${id}`);
    if (row) row.classList.add("fresh");
    fresh.delete(id);
  }
  seen.forEach((id) => changed.delete(id));
  return true;
}

/** Shows what is new, because the reader wants to see it: from there the keys go on. */
export async function show() {
  if (!list() || (fresh.size === 0 && !old)) return;
  if (!(await read())) return;
  announce();
  window.scrollTo(0, 0);
  const first = document.querySelector("tr.fresh a");
  if (first) first.focus({ preventScroll: true });
}

export function live(stale) {
  let timer = 0;
  follow(list().dataset.stream, list().dataset.after, {
    stale,
    event(event) {
      if (event.name === "reset") old = true;
      else if (event.name === "message") changed.add(JSON.parse(event.data).alert);
      if (changed.size > MUCH) old = true;
      if (timer) return;
      timer = setTimeout(() => {
        timer = 0;
        if (old) announce();
        else refresh();
      }, TOGETHER);
    },
  });
}
