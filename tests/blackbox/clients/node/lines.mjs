// A conversation in JSON lines: each line on stdin is `{"call": name, ...}`, and each gets one line back on stdout.

import { createInterface } from "node:readline";

/** Answers calls one after the other until stdin ends. */
export async function answerLines(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, ...given } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await handlers[call](given)) ?? null };
    } catch (error) {
      answer = { error: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

/** What an application learns from an evaluation. */
export function shown({ value, variant, reason, errorCode, errorMessage, flagMetadata }) {
  return { value, variant, reason, error: errorCode, message: errorMessage, metadata: flagMetadata };
}

/** The client's method that asks for this type. */
export const METHOD_OF = {
  boolean: "getBooleanDetails",
  string: "getStringDetails",
  integer: "getNumberDetails",
  float: "getNumberDetails",
  object: "getObjectDetails",
};
