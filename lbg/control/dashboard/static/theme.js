// Light or dark: as the system has it, or as chosen here.
import { byId } from "./dom.js";

const KEY = "lbg.theme";
const listeners = [];
let probe = null;

export function startTheme() {
  const select = byId("theme");
  select.value = stored();
  apply(select.value);
  select.addEventListener("change", () => {
    keep(select.value);
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

/** Call `listener` when colours have changed: canvases do not follow by themselves. */
export function onTheme(listener) {
  listeners.push(listener);
}

/** Return the colour of a custom property as a canvas takes it. */
export function colour(property) {
  probe ??= document.body.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
  probe.style.color = `var(${property})`;
  return getComputedStyle(probe).color;
}

function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  tell();
}

function tell() {
  for (const listener of listeners) listener();
}

function stored() {
  try {
    const theme = localStorage.getItem(KEY);
    return ["light", "dark"].includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage may be forbidden
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // then it holds for this page
  }
}
