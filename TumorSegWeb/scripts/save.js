// What was made to be saved goes to the tab that asked for it, also where that was loaded again
// meanwhile. Of two tabs that are copies of each other, the first gets it.
(() => {
  window.ts_tab = (window.sessionStorage.ts_tab ??= String(Math.random()));

  window.ts_fetch = async (saved, fetch) => {
    if (saved?.tab !== window.ts_tab) return;
    const content = await window.trame.trigger(fetch, [saved.number]);
    if (content) window.trame.utils.download(saved.name, content, 'application/octet-stream');
  };
})();
