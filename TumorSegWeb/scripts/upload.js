// Sends chosen files in parts, under a number of their own, and then how many they were: they are
// opened if all of them have come. A part waits for the one before it.
(() => {
  const PART_BYTES = 10e6;
  let uploads = 0;
  let underWay = 0;

  const countUnderWay = (by) => {
    underWay += by;
    window.trame.state.set('ts_uploading', underWay > 0);
  };
  const folderOf = (file) => (file.webkitRelativePath ?? '').replace(/[^/]*$/, '');

  const send = async (upload, files) => {
    for (let next = 0; next < files.length;) {
      const part = [];
      for (let bytes = 0; next < files.length && bytes <= PART_BYTES; next += 1) {
        part.push(files[next]);
        bytes += files[next].size;
      }
      await window.trame.trigger('ts_upload', [upload, part, part.map(folderOf)]);
    }
  };

  window.ts_upload = async (chosen) => {
    const files = [...chosen];
    if (!files.length) return;
    uploads += 1;
    const upload = uploads;
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    countUnderWay(1);
    try {
      const problem = await send(upload, files).then(() => '', String);
      await window.trame.trigger('ts_uploaded', [upload, files.length, bytes, problem]);
    } finally {
      countUnderWay(-1);
    }
  };
})();
