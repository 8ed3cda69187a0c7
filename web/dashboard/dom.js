// Small helpers over the document. Text from outside only ever goes in as text: nothing here parses markup.

/** The element with this id; the page is wrong without it. */
export const byId = (id) => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element has the id ${id}`);
  return found;
};

/** A new element. Children are elements or texts; a text is never read as markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Sets a text only when it differs, so that a refresh disturbs no selection and no screen reader. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Shows a message about what the owner did, and brings it in sight. */
export function tell(id, text) {
  setText(byId(id), text);
  if (text) byId(id).scrollIntoView({ block: "nearest" });
}

/** Tells users of screen readers what changed because of something they did. A refresh says nothing. */
export const say = (text) => setText(byId("said"), text);

/** Fills a `dl` with terms and figures: `[["People", "12"], …]`, reusing what is there. */
export function fillList(list, entries) {
  while (list.children.length > entries.length) list.lastElementChild.remove();
  entries.forEach(([term, figure], index) => {
    const row = list.children[index] ?? list.appendChild(element("div", {}, element("dt"), element("dd")));
    setText(row.children[0], term);
    setText(row.children[1], figure);
  });
}

/** Runs `change`, which may move elements about, and gives the focus back to whoever had it. */
export function keepFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

/** Shows the one of `ids` that is `shown` and hides the others. */
export function showOnly(shown, ids) {
  for (const id of ids) byId(id).hidden = id !== shown;
}
