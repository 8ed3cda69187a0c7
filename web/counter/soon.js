// One timer for many calls.

/** What has `act` called after a wait in milliseconds, once for all calls until then; the first one's wait counts. */
export const soon = (act) => {
  let timer;
  const run = () => {
    timer = 0;
    act();
  };
  return (wait) => {
    timer = timer || setTimeout(run, wait);
  };
};
