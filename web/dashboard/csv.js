// The loaded figures as a CSV file (RFC 4180), made in the browser.

// What a spreadsheet would take for a formula, also after spaces and in its full-width form.
const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/u;

/** One field. A text that a spreadsheet would run gets an apostrophe in front; numbers stay numbers. */
export function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** A whole file. It starts with a byte order mark, without which Excel does not read it as UTF-8. */
export function csv(header, rows) {
  const lines = [header, ...rows].map((row) => row.map(field).join(","));
  return `\uFEFF${lines.join("\r\n")}\r\n`;
}

/** Hands the file to the browser's downloads. */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken its own hold of the data by the next task.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
