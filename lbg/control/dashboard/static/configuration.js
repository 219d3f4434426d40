// The configuration in force, section by section; lbg hides what is secret in it.
import { getIfThere } from "./api.js";
import { byId, element, empty, setText } from "./dom.js";

export class Configuration {
  constructor() {
    this.shown = null;
  }

  /** Read it again when status tells of another one. */
  async refresh({ source, generation, digest }) {
    setText(byId("config-source"), `${source}, generation ${generation}`);
    const wanted = `${generation} ${digest}`;
    if (wanted === this.shown) return;
    const answer = await getIfThere("api/v1/config", "config");
    if (answer === null) {
      byId("config-list").replaceChildren(empty("Not available: this lbg does not tell its configuration."));
      return;
    }
    this.shown = wanted;
    byId("config-list").replaceChildren(...Object.entries(answer.config).map(section));
  }
}

function section([name, value]) {
  const lines = JSON.stringify(value, null, 2);
  return element(
    "details",
    {},
    element("summary", {}, element("code", {}, name), element("span", { class: "count" }, size(value))),
    element("pre", { tabindex: "0", "aria-label": `Configuration of ${name}` }, lines),
  );
}

function size(value) {
  if (Array.isArray(value)) return `${value.length}`;
  return value !== null && typeof value === "object" ? `${Object.keys(value).length}` : "";
}
