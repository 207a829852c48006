// Creates an assistant, or changes one.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";
import { useAttempt } from "../elements/actions.js";
import { Uploads } from "../elements/drop.js";
import { Failure } from "../elements/status.js";
import { useUploads } from "../elements/use_uploads.js";
import { draftOf, functionNames } from "./draft.js";
import { FileFields } from "./file_fields.js";
import { save } from "./saving.js";

const SERVER_TOOLS = { file_search: "File search", code_interpreter: "Code interpreter", web_retrieval: "Web retrieval" };

export function AssistantForm({ assistant, onSaved }) {
  const [draft, setDraft] = useState(() => draftOf(assistant));
  const [models, setModels] = useState([]);
  const { attempt, isBusy, failure } = useAttempt();
  const uploads = useUploads();
  const set = (more) => setDraft((was) => ({ ...was, ...more }));
  useEffect(() => {
    get("/models").then(({ data }) => {
      setModels(data.map((model) => model.id));
      setDraft((was) => ({ ...was, model: was.model || (data[0]?.id ?? "") }));
    }, () => {});
  }, []);
  const submit = (event) => {
    event.preventDefault();
    attempt(async () => onSaved(await save(draft, assistant, uploads.send)));
  };

  return html`<form class="fields" onSubmit=${submit} aria-label="Assistant">
    <label>Name<input value=${draft.name} maxlength="256" onInput=${(event) => set({ name: event.target.value })} /></label>
    <label>Model<input value=${draft.model} required list="models" onInput=${(event) => set({ model: event.target.value })} /></label>
    <datalist id="models">${models.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
    <label>Instructions<textarea rows="5" value=${draft.instructions} onInput=${(event) => set({ instructions: event.target.value })} /></label>
    <fieldset><legend>Tools of the server</legend>
      ${Object.entries(SERVER_TOOLS).map(([type, label]) => html`<label class="check" key=${type}><input type="checkbox" checked=${draft.tools.includes(type)}
        onChange=${(event) => set({ tools: event.target.checked ? [...draft.tools, type] : draft.tools.filter((each) => each !== type) })} />${label}</label>`)}
    </fieldset>
    <${FileFields} draft=${draft} set=${set} />
    <label>Functions<textarea rows="6" class="code" spellcheck="false" value=${draft.functions}
      onInput=${(event) => set({ functions: event.target.value })} aria-describedby="functions-form" /></label>
    <p class="quiet" id="functions-form">A JSON list, each with <code>name</code>, <code>description</code> and <code>parameters</code>.</p>
    ${functionNames(draft).map((name) => html`<${Metadata} key=${name} name="header_${name}"
      label="Title of a call of ${name}, in markdown" draft=${draft} set=${set} />`)}
    <fieldset><legend>Prompts to start with</legend>
      ${[1, 2, 3, 4].map((number) => html`<${Metadata} key=${number} name="starter_${number}" label="Prompt ${number}" draft=${draft} set=${set} />`)}
    </fieldset>
    <${Uploads} uploads=${uploads.uploads} />
    <${Failure} error=${failure} />
    <button class="primary" disabled=${isBusy}>${assistant ? "Save" : "Create"}</button>
  </form>`;
}

const Metadata = ({ name, label, draft, set }) => html`<label>${label}<input value=${draft.metadata[name] ?? ""} maxlength="512"
  onInput=${(event) => set({ metadata: { ...draft.metadata, [name]: event.target.value } })} /></label>`;
