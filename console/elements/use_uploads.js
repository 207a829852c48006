import { useState } from "preact/hooks";
import { upload } from "../client/upload.js";

let keys = 0;

/** `send(files, purpose)` uploads them, one after another, and returns those that arrived; failed ones stay listed. */
export function useUploads() {
  const [uploads, setUploads] = useState([]);
  const change = (key, more) => setUploads((was) => was.map((each) => (each.key === key ? { ...each, ...more } : each)));

  async function send(files, purpose) {
    const waiting = files.map((file) => ({ key: ++keys, name: file.name, part: 0, file }));
    setUploads((was) => [...was.filter((each) => !each.error), ...waiting]);
    const arrived = [];
    for (const { key, file } of waiting) {
      try {
        const named = typeof purpose === "function" ? purpose(file) : purpose;
        arrived.push(await upload(file, named, (part) => change(key, { part })));
        setUploads((was) => was.filter((each) => each.key !== key));
      } catch (error) {
        change(key, { error: error.message });
      }
    }
    return arrived;
  }
  return { uploads, send, isBusy: uploads.some((each) => !each.error) };
}
