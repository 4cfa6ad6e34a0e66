// What the suite needs: a client made as users make one, a destination, and patience.

import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "@upstash/qstash";

const PATIENCE = 15_000; // ms before a condition that does not come true fails its test

export const NOWHERE = "http://127.0.0.1:1";

/** Read QSTASH_URL and QSTASH_TOKEN, which `flask qstash dev` prints. */
export const client = new Client({ retry: false });

/** Start an HTTP server that records what it is sent; `answer(request)` gives status and body. */
export async function destination(t, answer = () => ({})) {
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const { method, url: path, headers } = request;
    received.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
    const { status = 200, headers: extra = {}, body = "" } = answer(received.at(-1));
    response.writeHead(status, extra).end(body);
    server.emit("recorded");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const signal = AbortSignal.timeout(PATIENCE);
  const wait = async (count = 1) => {
    while (received.length < count) await once(server, "recorded", { signal });
    return received.slice(0, count);
  };
  return { url: `http://127.0.0.1:${server.address().port}`, received, wait };
}

/** Return the first truthy result of `look`; for state that no request announces. */
export async function eventually(look) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never came true: ${look}`);
    await sleep(10);
  }
}
