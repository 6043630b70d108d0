// Leaves out turns of the wheel where three are without their picture yet: they would be taken one
// after the other, for seconds after the wheel has come to rest. A turn may bring no picture of its
// own, as at the last slice or where one picture answers two: it is forgotten soon, or when the wheel
// turns back.
(() => {
  const MOST_AHEAD = 3;
  const PATIENCE_MILLISECONDS = 250;
  const turned = new WeakMap();
  const viewOf = (event) => event.target.closest?.('.remote-controlled-area');

  document.addEventListener('load', (event) => {
    turned.get(viewOf(event))?.ahead.shift();
  }, { capture: true });

  document.addEventListener('wheel', (event) => {
    const view = viewOf(event);
    if (!view) return;
    const now = performance.now();
    const way = Math.sign(event.deltaY);
    const turns = turned.get(view);
    const ahead = turns?.way === way
      ? turns.ahead.filter((at) => now - at < PATIENCE_MILLISECONDS)
      : [];
    if (ahead.length < MOST_AHEAD) {
      ahead.push(now);
    } else {
      event.preventDefault();
      event.stopPropagation();
    }
    turned.set(view, { ahead, way });
  }, { capture: true, passive: false });
})();
