// Sends chosen files in parts, under a number of their own, and then how many they were: they are
// opened if all of them have come. A part waits for the one before it. Browsers do not read 2 GiB at
// once, so that a large file is sent in pieces.
(() => {
  const PART_BYTES = 10e6;
  let uploads = 0;
  let underWay = 0;

  const countUnderWay = (by) => {
    underWay += by;
    window.trame.state.set('ts_uploading', underWay > 0);
  };
  const folderOf = (file) => (file.webkitRelativePath ?? '').replace(/[^/]*$/, '');
  const chosenFrom = (files) => [...files].map((file) => ({ file, folder: folderOf(file) }));

  // A dropped folder has no bytes to send, but its entry leads to the files below it.
  const below = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((found, failed) => { entry.file(found, failed); });
      return [{ file, folder: entry.fullPath.replace(/[^/]*$/, '').slice(1) }];
    }
    const reader = entry.createReader();
    const next = () => new Promise((found, failed) => { reader.readEntries(found, failed); });
    const files = [];
    for (let some = await next(); some.length; some = await next())
      for (const one of some) files.push(...await below(one));
    return files;
  };

  const piecesOf = (one) => {
    const { file } = one;
    if (file.size <= PART_BYTES) return [{ ...one, goesOn: false }];
    return Array.from({ length: Math.ceil(file.size / PART_BYTES) }, (_none, number) => {
      const piece = file.slice(number * PART_BYTES, (number + 1) * PART_BYTES);
      return { ...one, file: new File([piece], file.name), goesOn: number > 0 };
    });
  };

  const send = async (upload, chosen) => {
    const pieces = chosen.flatMap(piecesOf);
    for (let next = 0; next < pieces.length;) {
      const part = [];
      for (let bytes = 0; next < pieces.length && bytes < PART_BYTES; next += 1) {
        part.push(pieces[next]);
        bytes += pieces[next].file.size;
      }
      const told = ['file', 'folder', 'goesOn'].map((name) => part.map((one) => one[name]));
      await window.trame.trigger('ts_upload', [upload, ...told]);
    }
  };

  const upload = async (find) => {
    uploads += 1;
    const number = uploads;
    countUnderWay(1);
    try {
      let chosen = [];
      const go = async () => { chosen = await find(); await send(number, chosen); };
      const problem = await go().then(() => '', String);
      const bytes = chosen.reduce((sum, one) => sum + one.file.size, 0);
      await window.trame.trigger('ts_uploaded', [number, chosen.length, bytes, problem]);
    } finally {
      countUnderWay(-1);
    }
  };

  window.ts_upload = async (files) => {
    const chosen = chosenFrom(files);
    if (chosen.length) await upload(() => chosen);
  };

  window.ts_drop = async (dropped) => {
    const entries = [...dropped.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.some((one) => one.isDirectory))
      await upload(async () => (await Promise.all(entries.map(below))).flat());
    else await window.ts_upload(dropped.files);
  };
})();
