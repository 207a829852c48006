// Files of a message that is being written. Images are shown to the model, other files are for the assistant's tools.
import { useState } from "preact/hooks";
import { useUploads } from "../elements/use_uploads.js";

const IMAGE = /^image\/(png|jpeg|gif|webp)$/;
const READERS = ["file_search", "code_interpreter"];

export function useAttachments(assistant) {
  const { uploads, send, isBusy } = useUploads();
  const [files, setFiles] = useState([]);
  const [failure, setFailure] = useState(null);
  const tools = READERS.filter((type) => assistant?.tools.some((tool) => tool.type === type));

  async function add(chosen) {
    setFailure(null);
    const images = chosen.filter((file) => IMAGE.test(file.type)), others = chosen.filter((file) => !IMAGE.test(file.type));
    if (others.length && !tools.length) setFailure(`This assistant has no tool that reads files: ${others.map((file) => file.name).join(", ")}`);
    const wanted = tools.length ? [...images, ...others] : images;
    const arrived = await send(wanted, (file) => (IMAGE.test(file.type) ? "vision" : "assistants"));
    setFiles((was) => [...was, ...arrived]);
  }
  return {
    uploads, files, isBusy, failure, add,
    drop: (file) => setFiles((was) => was.filter((each) => each !== file)),
    clear: () => setFiles([]),
    message: (text) => ({ role: "user", content: contentOf(text, files), attachments: attachmentsOf(files, tools) }),
  };
}

const attachmentsOf = (files, tools) =>
  files.filter(isRead).map((file) => ({ file_id: file.id, tools: tools.map((type) => ({ type })) }));

const isRead = (file) => file.purpose === "assistants";

function contentOf(text, files) {
  const images = files.filter((file) => !isRead(file)).map((file) => ({ type: "image_file", image_file: { file_id: file.id } }));
  const said = text.trim() ? text : "See the attached files.";
  return images.length ? [...(text.trim() ? [{ type: "text", text }] : []), ...images] : said;
}
