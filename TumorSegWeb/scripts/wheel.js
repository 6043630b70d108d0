// Leaves out turns of the wheel where two are without their picture yet: they would be taken one
// after the other, for seconds after the wheel has come to rest. Where a turn brings no picture, as
// at the last slice, it is forgotten after a second, or when the wheel turns back.
(() => {
  const MOST_AHEAD = 2;
  const PATIENCE_MILLISECONDS = 1000;
  const turned = new WeakMap();
  const viewOf = (event) => event.target.closest?.('.remote-controlled-area');

  document.addEventListener('load', (event) => {
    const turns = turned.get(viewOf(event));
    if (turns) turns.ahead = Math.max(turns.ahead - 1, 0);
  }, { capture: true });

  document.addEventListener('wheel', (event) => {
    const view = viewOf(event);
    if (!view) return;
    const now = performance.now();
    const way = Math.sign(event.deltaY);
    const turns = turned.get(view);
    const waits = turns && turns.way === way && now - turns.at < PATIENCE_MILLISECONDS;
    const ahead = waits ? turns.ahead : 0;
    if (ahead < MOST_AHEAD) {
      turned.set(view, { ahead: ahead + 1, at: now, way });
    } else {
      event.preventDefault();
      event.stopPropagation();
    }
  }, { capture: true, passive: false });
})();
