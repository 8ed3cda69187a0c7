// The demo page: shows the line that counts a page, with this deployment's address, and the page's count with this visit.

const POLLS = 30;
const INTERVAL = 3000;

const written = async () => {
  const answer = await fetch("../visits/home");
  if (!answer.ok) throw new Error(`the count is not to be had: ${answer.status}`);
  return (await answer.json()).count;
};

const show = (count) => {
  const text = count.toLocaleString("en");
  const element = document.getElementById("count");
  if (element.textContent !== text) element.textContent = text;
};

const start = async () => {
  const script = new URL("../counter.js", location.href).href;
  document.getElementById("snippet").textContent = `<script defer src="${script}"></script>`;
  // Read before the visit is sent: what was written until then cannot hold it.
  const before = await written().catch(() => undefined);
  window.visits?.record();
  if (before === undefined) return;
  show(before + 1);
  // Other visits that were under way show up as they are written.
  for (let polls = 0; polls < POLLS; polls++) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    show(Math.max(before + 1, await written()));
  }
};

start().catch(console.warn);
