// The conversation of a thread, and the message that follows.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { post } from "../client/api.js";
import { shortened } from "../conversation/title.js";
import { isActive, useConversation } from "../conversation/use_conversation.js";
import { useAttempt } from "../elements/actions.js";
import { useDrop } from "../elements/drop.js";
import { Failure, Loading, Status } from "../elements/status.js";
import { AssistantForm } from "../assistants/form.js";
import { ChooseAssistant, useChosenAssistant } from "./choose_assistant.js";
import { Composer } from "./composer.js";
import { Message } from "./message.js";
import { Run } from "./run.js";
import { Starters } from "./starters.js";
import { useAttachments } from "./use_attachments.js";

export function Chat({ threadId, onThread }) {
  const conversation = useConversation(threadId);
  const blocks = conversation.shown?.blocks ?? [];
  const runs = blocks.filter((block) => block.run).map((block) => block.run);
  const choice = useChosenAssistant(threadId, runs.at(-1)?.assistant_id);
  const attachments = useAttachments(choice.assistant);
  const { attempt, isBusy, failure } = useAttempt();
  const drop = useDrop(attachments.add);
  const active = runs.find(isActive);

  const send = (text) => attempt(async () => {
    const message = attachments.message(text), run = { assistant_id: choice.assistant.id };
    const thread = { messages: [message], metadata: { title: shortened(text) || "Files" } };
    const started = threadId ? await post(`/threads/${threadId}/runs`, { ...run, additional_messages: [message] })
      : await post("/threads/runs", { ...run, thread });
    attachments.clear();
    if (threadId) await conversation.reload();
    else onThread(started.thread_id);
    return true;
  });
  const cancel = () => attempt(() => post(`/threads/${active.thread_id}/runs/${active.id}/cancel`));

  if (choice.failure) return html`<h1>Chat</h1><${Failure} error=${choice.failure} />`;
  if (!choice.assistants) return html`<h1>Chat</h1><${Loading} />`;
  if (!choice.assistants.length && !threadId) return html`<h1>Create your first assistant</h1><${AssistantForm} onSaved=${choice.add} />`;
  return html`<section class="chat ${drop.isOver ? "over" : ""}" aria-label="Chat" ...${drop.target}>
    <header><h1>${threadId ? "Chat" : "New chat"}</h1><${ChooseAssistant} choice=${choice} />
      <span role="status">${runs.length > 0 && html`<${Status} status=${runs.at(-1).status} />`}</span></header>
    <${Conversation} conversation=${conversation} blocks=${blocks} assistants=${choice.assistants}>
      ${!blocks.length && html`<${Starters} assistant=${choice.assistant} onStart=${send} />`}
    <//>
    <${Composer} attachments=${attachments} isBusy=${isBusy || Boolean(active) || !choice.assistant} failure=${failure} onSend=${send}>
      ${active && html`<button type="button" onClick=${cancel} disabled=${active.status === "cancelling"}>Cancel</button>`}
    <//>
  </section>`;
}

function Conversation({ conversation, blocks, assistants, children }) {
  const place = useRef(null), isAtEnd = useRef(true);
  useLayoutEffect(() => { if (isAtEnd.current && place.current) place.current.scrollTop = place.current.scrollHeight; }, [blocks]);
  const scrolled = ({ currentTarget: at }) => { isAtEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 80; };
  if (conversation.failure) return html`<${Failure} error=${conversation.failure} />`;
  return html`<div class="conversation" role="log" aria-label="Conversation" tabindex="0" ref=${place} onScroll=${scrolled}>
    ${!conversation.shown && html`<${Loading} />`}
    ${conversation.shown?.hasEarlier && html`<button type="button" onClick=${conversation.loadEarlier}>Show earlier messages</button>`}
    ${blocks.map((block) => (block.run
      ? html`<${Run} key=${block.run.id} block=${block} onChange=${conversation.reload}
          assistant=${assistants.find((each) => each.id === block.run.assistant_id)} />`
      : html`<${Message} key=${block.message.id} message=${block.message} author=${block.message.role === "user" ? "You" : undefined} />`))}
    ${children}
  </div>`;
}
