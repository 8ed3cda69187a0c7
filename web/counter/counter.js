// counter.js: counts visits of the page that includes it and shows counts. See docs/COUNTER_JS.md. It keeps nothing in
// the browser: no cookie, no storage.
import { deliverer } from "./deliver.js";
import { filler, watch } from "./fill.js";
import { canonical, identity, isPageId } from "./identity.js";

const run = ({ dataset: options, src }) => {
  const at = (base) => (base || new URL(".", src).href).replace(/\/+$/, "");
  const pageOf = identity(options);
  const deliver = deliverer(at(options.api));
  const fill = filler(at(options.counts || options.api), () => current);
  // The page by the address, and the page that is counted: a canonical link may make them two.
  let here;
  let current;

  const record = (page = current) => {
    if (isPageId(page)) deliver(page);
  };

  const visit = () => {
    if (options.record !== "off") record();
  };

  const arrive = (page) => {
    current = page;
    visit();
    fill();
  };

  // By the address: the canonical link may still be that of the page before.
  const navigated = () => {
    const before = here;
    here = pageOf(location);
    if (here !== before) arrive(here);
  };

  const start = () => {
    // A prerendered page may never be looked at; the canonical link and the elements to fill may come after the script.
    const until = document.prerendering
      ? "prerenderingchange"
      : document.readyState === "loading" && "DOMContentLoaded";
    if (until) return document.addEventListener(until, start);
    here = pageOf(location);
    arrive(options.canonical === "off" ? here : pageOf(canonical()));
    watch(fill);
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = (...all) => {
        original.apply(history, all);
        navigated();
      };
    }
    // Back and forward, and another fragment.
    addEventListener("popstate", navigated);
    // `navigation.navigate`, and all of the above once more, which `navigated` then finds to be known.
    window.navigation?.addEventListener?.("currententrychange", navigated);
    // Back from the browser's memory: a visit like any other.
    addEventListener("pageshow", (event) => event.persisted && visit());
  };

  window.visits = { record };
  start();
};

// Two script tags count once. An element with the id "visits" is window.visits too, but has no record. A file that is
// looked at on a disk is not counted: its path is private.
if (!window.visits?.record && /^http/.test(location.protocol)) {
  // A module and what a loader evaluates have no current script: the tag is found by its address.
  const script = [document.currentScript, document.querySelector('script[src*="/counter.js"]')].find(
    (script) => script?.dataset.api || /^http/.test(script?.src),
  );
  if (script) run(script);
  else console.error('visits: nothing is counted: the page has no <script src="…/counter.js">');
}
