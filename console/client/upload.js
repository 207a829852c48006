// Uploads of files, with their progress, which only XMLHttpRequest tells.
import { ApiError, headers, idempotencyKey, url } from "./api.js";
import { askForKey } from "./key.js";

/** The file object that the server made of `file`; `onProgress` gets the part that has been sent, from 0 to 1. */
export function upload(file, purpose, onProgress = () => {}) {
  const form = new FormData();
  form.append("purpose", purpose);
  form.append("file", file, file.name);
  const sending = new XMLHttpRequest();
  sending.open("POST", url("/files"));
  for (const [name, value] of Object.entries({ ...headers(), ...idempotencyKey() })) sending.setRequestHeader(name, value);
  sending.responseType = "json";
  sending.upload.onprogress = (event) => onProgress(event.loaded / event.total);
  return new Promise((resolve, reject) => {
    sending.onerror = () => reject(new ApiError(0, { message: `The upload of ${file.name} was cut off. Try again.` }));
    sending.onload = () => {
      if (sending.status === 200) return resolve(sending.response);
      if (sending.status === 401) askForKey();
      reject(new ApiError(sending.status, sending.response?.error ?? { message: `The server answered with ${sending.status}.` }));
    };
    sending.send(form);
  });
}
