import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";

/** The name of a file; its id until that is known, and where the file is gone. */
export function FileName({ id }) {
  const [name, setName] = useState(id);
  useEffect(() => { get(`/files/${id}`).then((file) => setName(file.filename), () => {}); }, [id]);
  return name;
}
