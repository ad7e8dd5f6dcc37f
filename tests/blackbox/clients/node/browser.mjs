// As much of a browser as the web provider touches: a page that is visible or hidden, local storage, event streams.

import { EventSource } from "eventsource";

class Page extends EventTarget {
  visibilityState = "visible";

  become(state) {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

class LocalStorage {
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, String(value));
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

export const page = new Page();
export const storage = new LocalStorage();

for (const [name, value] of Object.entries({ document: page, localStorage: storage, EventSource })) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
