// A page with `@openfeature/ofrep-web-provider`: one bulk request for a context, then evaluations without any.

import { page } from "./browser.mjs";

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

import { answerLines, METHOD_OF, shown } from "./lines.mjs";

const requests = {};
const events = {};
let woken = () => {};

/** `fetch`, noting what went over the wire. */
function noting(name) {
  requests[name] = [];
  return async (request) => {
    const noted = { url: request.url, if_none_match: request.headers.get("if-none-match") };
    const response = await fetch(request);
    Object.assign(noted, { status: response.status, etag: response.headers.get("etag") });
    requests[name].push(noted);
    woken();
    return response;
  };
}

function noteEvents(name) {
  events[name] = [];
  for (const event of Object.values(ProviderEvents)) {
    OpenFeature.getClient(name).addHandler(event, (details) => {
      events[name].push({ event, flags: details?.flagsChanged ?? null, message: details?.message ?? null });
      woken();
    });
  }
}

async function waitFor(name, condition, withinMs) {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) {
      const seen = JSON.stringify({ requests: requests[name], events: events[name] });
      throw new Error(`nothing of the kind within ${withinMs} ms: ${seen}`);
    }
    await new Promise((resolve) => {
      woken = resolve;
      setTimeout(resolve, 100);
    });
  }
}

await answerLines({
  async connect({ name, url, headers, context, options }) {
    const provider = new OFREPWebProvider({
      baseUrl: url,
      headers: Object.entries(headers),
      fetchImplementation: noting(name),
      ...options,
    });
    noteEvents(name);
    try {
      await OpenFeature.setProviderAndWait(name, provider, context);
    } catch (error) {
      return { status: OpenFeature.getClient(name).providerStatus, error: error.code ?? String(error) };
    }
    return { status: OpenFeature.getClient(name).providerStatus };
  },

  evaluate({ name, type, key, fallback }) {
    return shown(OpenFeature.getClient(name)[METHOD_OF[type]](key, fallback));
  },

  async change_context({ name, context }) {
    await OpenFeature.setContext(name, context);
    return { status: OpenFeature.getClient(name).providerStatus };
  },

  look({ name }) {
    return { status: OpenFeature.getClient(name).providerStatus, requests: requests[name], events: events[name] };
  },

  async wait_for_request({ name, status, part, within_ms }) {
    const fits = (one) => one.status === status && one.url.includes(part);
    await waitFor(name, () => requests[name].some(fits), within_ms);
    return requests[name].find(fits);
  },

  async wait_for_event({ name, event, flag, within_ms }) {
    const fits = (one) => one.event === event && (flag === null || one.flags?.includes(flag));
    await waitFor(name, () => events[name].some(fits), within_ms);
    return events[name].find(fits);
  },

  forget({ name }) {
    requests[name].length = 0;
    events[name].length = 0;
  },

  show_page({ state }) {
    page.become(state);
  },

  async disconnect() {
    await OpenFeature.clearProviders();
  },
});
