// Loaded before trame's own listeners are there: trame closes its socket as soon as the browser
// begins to ask whether the page may be left, so it must not hear of a question.
(() => {
  const PAUSE_MILLISECONDS = 15000;
  const state = (name) => window.trame?.state?.get(name);
  let said = -PAUSE_MILLISECONDS;

  const used = (event) => {
    if (event.timeStamp - said < PAUSE_MILLISECONDS && !state('ts_ends_in')) return;
    said = event.timeStamp;
    window.trame?.trigger('ts_used')?.catch?.(() => {});
  };
  for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel'])
    window.addEventListener(kind, used, { capture: true, passive: true });

  window.addEventListener('beforeunload', (event) => {
    if (!state('ts_unsaved') || document.getElementById('ended')) return;
    event.preventDefault();
    event.returnValue = true;
    event.stopImmediatePropagation();
  });
})();
