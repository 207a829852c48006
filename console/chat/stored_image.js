// Files of the server. They need the API key, so that an address alone does not show them.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { download, get } from "../client/api.js";
import { useAttempt } from "../elements/actions.js";
import { Failure } from "../elements/status.js";

export function StoredImage({ fileId }) {
  const [shown, setShown] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    let address = null, isGone = false;
    load(fileId).then((image) => {
      if (isGone) return;
      address = URL.createObjectURL(image.content);
      setShown({ address, name: image.name });
    }, setFailure);
    return () => { isGone = true; if (address) URL.revokeObjectURL(address); };
  }, [fileId]);
  if (failure) return html`<${Failure} error=${failure} />`;
  return shown && html`<img class="stored" src=${shown.address} alt=${shown.name} />`;
}

async function load(fileId) {
  const [file, content] = await Promise.all([get(`/files/${fileId}`), download(`/files/${fileId}/content`)]);
  return { name: file.filename, content };
}

/** A button that saves a file on the user's machine. */
export function Download({ fileId, name }) {
  const { attempt, failure } = useAttempt();
  const download = () => attempt(() => save(fileId, name));
  return html`<button type="button" aria-label="Download ${name}" onClick=${download}>Download</button>
    <${Failure} error=${failure} />`;
}

async function save(fileId, name) {
  const address = URL.createObjectURL(await download(`/files/${fileId}/content`));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
