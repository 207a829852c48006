// Assistants: create, read, change, list, delete.

import { equal, everyOne, has, hasId, idsOf, isPageOf, repeated } from "./assertions.mjs";
import { MODEL, functionTool } from "./sdk.mjs";

export const assistants = {
  async create(sdk) {
    const bare = await sdk.assistants.create({ model: MODEL });
    hasId(bare, "asst");
    has(bare, { object: "assistant", model: MODEL, name: null, description: null, instructions: null, tools: [] });
    has(bare, { metadata: {}, temperature: 1, top_p: 1, response_format: "auto" });

    const fields = {
      name: "Guide",
      description: "Knows the weather",
      instructions: "You help people who travel.",
      metadata: { team: "north" },
      temperature: 0.5,
      top_p: 0.25,
      response_format: { type: "json_object" },
    };
    const full = await sdk.assistants.create({ model: MODEL, tools: [functionTool("get_weather")], ...fields });
    has(full, fields);
    equal(full.tools.map((tool) => tool.function.name), ["get_weather"]);
    equal(full.tools[0].function.parameters.required, ["city"]);
  },

  async retrieve(sdk) {
    const created = await sdk.assistant("get_weather");

    equal(await sdk.assistants.retrieve(created.id), created);
  },

  async update(sdk) {
    const fields = { name: "Guide", instructions: "Be brief.", metadata: { team: "north" } };
    const created = await sdk.assistants.create({ model: MODEL, ...fields });

    const changes = { name: null, tools: [functionTool("get_time")], metadata: { team: "south" } };
    const updated = await sdk.assistants.update(created.id, changes);

    has(updated, { id: created.id, name: null, instructions: "Be brief.", metadata: { team: "south" } });
    equal(updated.tools.map((tool) => tool.function.name), ["get_time"]);
    equal(await sdk.assistants.retrieve(created.id), updated);
  },

  async list(sdk) {
    const [first, second, third] = await repeated(3, () => sdk.assistant());

    isPageOf(await sdk.assistants.list({ limit: 2 }), [third, second], true);
    isPageOf(await sdk.assistants.list({ order: "asc", after: first.id }), [second, third], false);
    isPageOf(await sdk.assistants.list({ limit: 1, before: second.id }), [third], false);
    isPageOf(await sdk.assistants.list({ order: "asc", after: third.id }), [], false);
  },

  async list_every_page(sdk) {
    const [first, ...others] = await repeated(6, () => sdk.assistant());

    const found = await everyOne(sdk.assistants.list({ limit: 2, order: "asc", after: first.id }));

    equal(idsOf(found), idsOf(others));
  },

  async delete(sdk) {
    const created = await sdk.assistant();

    const deleted = await sdk.deleteOne(sdk.assistants, created.id);

    has(deleted, { id: created.id, object: "assistant.deleted", deleted: true });
    equal(idsOf((await sdk.assistants.list({ limit: 100 })).data).includes(created.id), false);
  },
};
