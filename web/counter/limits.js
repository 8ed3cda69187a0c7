// What bounds requests and waits. Apart from what uses it: a file without imports is one whose constants are written
// into the bundle as numbers.

/** How long visits are gathered, in milliseconds. */
export const GATHER = 50;

/**
 * Most visits in one request. The route takes 100; 40 ids of the longest kind are 20 KiB, a third of what a browser lets
 * all requests of a page with `keepalive` hold, and 40 KiB where each of their bytes is escaped.
 */
export const VISITS_TOGETHER = 40;

/** Most visits without an answer yet beside which another request begins. */
export const UNANSWERED = 9;

/** How often a refused request is tried again before what it held waits for the beacon. */
export const TRIES = 5;

/** Longest wait before another try, in seconds, whatever the answer asks for. */
export const LONGEST_WAIT = 60;

/** How long changes of the document are gathered before it is looked through again, in milliseconds. */
export const SETTLE = 200;

/** How many counts are asked for in one request: the most that the route answers where counts are public. */
export const COUNTS_TOGETHER = 20;

/** Longest query string. API Gateway takes 10,240 bytes of request line and headers together. */
export const LONGEST_QUERY = 6000;
