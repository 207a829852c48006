// Models: list and read.

import { equal, everyOne, has, idsOf, ok } from "./assertions.mjs";
import { MODEL } from "./sdk.mjs";

export const models = {
  async list(sdk) {
    const page = await sdk.models.list();

    equal(page.object, "list");
    ok(idsOf(page.data).includes(MODEL));
  },

  async retrieve(sdk) {
    const listed = (await everyOne(sdk.models.list())).find((model) => model.id === MODEL);

    const model = await sdk.models.retrieve(MODEL);

    equal(model, listed);
    has(model, { id: MODEL, object: "model" });
  },
};
