// Which assistant answers next: that of the thread's last run, the one chosen last, or the newest.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";

const REMEMBERED = "holdfast-assistant";

export const nameOf = (assistant) => assistant.name || assistant.id;
export const remember = (assistantId) => sessionStorage.setItem(REMEMBERED, assistantId);

export function useChosenAssistant(threadId, lastUsed) {
  const [assistants, setAssistants] = useState(null);
  const [failure, setFailure] = useState(null);
  const [chosen, setChosen] = useState(null);
  useEffect(() => { get("/assistants?limit=100").then((page) => setAssistants(page.data), setFailure); }, []);
  useEffect(() => setChosen(null), [threadId]);
  const isMissing = assistants && lastUsed && !assistants.some((each) => each.id === lastUsed);
  // It may have been deleted, or be older than a hundred others.
  useEffect(() => {
    if (isMissing) get(`/assistants/${lastUsed}`).then((found) => setAssistants((was) => [...was, found]), () => {});
  }, [isMissing]);

  const find = (id) => assistants?.find((each) => each.id === id);
  const assistant = find(chosen) ?? find(lastUsed) ?? find(sessionStorage.getItem(REMEMBERED)) ?? assistants?.[0];
  const choose = (id) => { remember(id); setChosen(id); };
  const add = (made) => { setAssistants((was) => [made, ...was]); choose(made.id); };
  return { assistants, assistant, failure, choose, add };
}

export const ChooseAssistant = ({ choice: { assistants, assistant, choose } }) => html`<label class="choose-assistant">Assistant
    <select value=${assistant?.id} onChange=${(event) => choose(event.target.value)}>
      ${assistants.map((each) => html`<option key=${each.id} value=${each.id}>${nameOf(each)}</option>`)}
    </select></label>
  <a href="#/assistants/new">New assistant</a>`;
