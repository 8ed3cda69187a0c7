// The parts of the dashboard that need no browser: CSV files and addresses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { csv, field } from "../dashboard/csv.js";
import { daysFrom, format, parse } from "../dashboard/place.js";
import { HOSTILE } from "./dashboard-data.mjs";

const OVERVIEW = { days: 30, limit: 20, search: "", page: null, broken: false };

test("a field that a spreadsheet would run as a formula begins with an apostrophe", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "  =1+1", "\t=1", "＝1+1"]) {
    assert.equal(field(text), `"'${text}"`);
  }
  assert.equal(field("a=b"), '"a=b"');
  assert.equal(field(-3), "-3", "a number is no formula");
});

test("quotes, separators and line ends stay inside their field", () => {
  assert.equal(field('say "hi", you'), '"say ""hi"", you"');
  assert.equal(field(null), "");
  assert.equal(csv(["day", "people"], [["2026-11-24", 3]]), '\uFEFF"day","people"\r\n"2026-11-24",3\r\n');
});

test("every page id survives the way into an address and back", () => {
  for (const page of [...HOSTILE, "a/b", "100%", "%2F", "a+b c", "#page=x&days=7", "café", ".."]) {
    for (const days of [7, 30, 400]) {
      const place = { days, limit: 100, search: page, page, broken: false };
      assert.deepEqual(parse(format(place)), place);
    }
  }
  assert.equal(format({ ...OVERVIEW, page: "a/b&c" }), "#page=a%2Fb%26c");
  assert.equal(parse("#page=a+b").page, "a+b", "a plus is a plus");
});

test("an address that names no days or no readable page is no error", () => {
  for (const hash of ["", "#page=", "#page", "#search", "#days=9999&limit=50&other=1"])
    assert.deepEqual(parse(hash), OVERVIEW, hash);
  assert.deepEqual(parse("#page=%E4%"), { ...OVERVIEW, broken: true });
});

test("days are a whole number from 1 to 400", () => {
  for (const text of ["0", "401", "-1", "1.5", "", "x", "1e2", "00000001"]) assert.equal(daysFrom(text), null, text);
  for (const days of [1, 30, 400]) assert.equal(daysFrom(String(days)), days);
});
