// An application on Node.js with `@openfeature/ofrep-provider`: each evaluation is a request.

import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

import { answerLines, METHOD_OF, shown } from "./lines.mjs";

await answerLines({
  async connect({ name, url, headers }) {
    await OpenFeature.setProviderAndWait(name, new OFREPProvider({ baseUrl: url, headers }));
  },

  async evaluate({ name, type, key, fallback, context }) {
    return shown(await OpenFeature.getClient(name)[METHOD_OF[type]](key, fallback, context));
  },
});
