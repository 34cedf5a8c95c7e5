// Console: what pages get beyond what they can do without a script. ES2019, so that Chromium 78 reads it.

import { fragment } from "./fetch.js";
import { keys } from "./keys.js";
import { live } from "./live.js";
import { follow } from "./stream.js";

/** How often the strip is read anew, ms. */
const STRIP = 10000;

function stale(is) {
  document.getElementById("stale").hidden = !is;
}

/** Language and theme are remembered; a link to the page does not carry them. */
function tidyAddress() {
  const address = new URL(location.href);
  if (!address.searchParams.has("lang") && !address.searchParams.has("theme")) return;
  address.searchParams.delete("lang");
  address.searchParams.delete("theme");
  history.replaceState(history.state, "", address);
}

function keepStrip() {
  setInterval(async () => {
    if (document.hidden) return;
    const found = await fragment("/fragments/strip");
    const strip = document.getElementById("strip");
    if (found && found.length > 0 && strip && strip.textContent !== found[0].textContent) strip.replaceWith(found[0]);
  }, STRIP);
}

/** The page of one alert says when there is a later revision. */
function watchAlert(page) {
  follow("/api/v1/alerts/stream", page.dataset.after, {
    stale,
    event(event) {
      const mine = event.name === "message" && JSON.parse(event.data).alert === page.dataset.page;
      if (mine || event.name === "reset") document.getElementById("revised").hidden = false;
    },
  });
}

/** On a narrow screen filters begin folded. */
function foldFilters() {
  const fold = document.querySelector("details.fold");
  if (fold && window.matchMedia("(max-width: 900px)").matches) fold.open = false;
}

tidyAddress();
foldFilters();
keys();
keepStrip();
const page = document.querySelector("[data-page]");
if (document.getElementById("list")) live(stale);
else if (page) watchAlert(page);
