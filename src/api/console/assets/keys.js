// Keys: j and k walk the rows of a page, o opens; none of them while one types.

import { show } from "./live.js";

const links = () => Array.from(document.querySelectorAll("tr[data-alert] td.title a, tr[data-row] td.title a"));

function walk(step) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.closest("tr").scrollIntoView({ block: "nearest" });
}

function open() {
  if (links().includes(document.activeElement)) document.activeElement.click();
}

function search() {
  const field = document.getElementById("q");
  if (!field) return;
  const fold = field.closest("details");
  if (fold) fold.open = true;
  field.focus();
  field.select();
}

function back() {
  const link = document.querySelector("a[data-back]");
  if (link) link.click();
}

function help() {
  const dialog = document.getElementById("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

const KEYS = {
  j: () => walk(1),
  k: () => walk(-1),
  o: open,
  n: () => show(),
  "/": search,
  u: back,
  "?": help,
};

function typing(target) {
  return target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
}

export function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.getElementById("keys").open && event.key !== "?") return;
    const act = Object.prototype.hasOwnProperty.call(KEYS, event.key) ? KEYS[event.key] : null;
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("[data-keys]")) {
    button.hidden = false;
    button.addEventListener("click", help);
  }
}
