import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Receiver } from "@upstash/qstash";

import { destination } from "./support.mjs";

test("the SDK's development mode finds the server by its port and downloads nothing", async (t) => {
  const { QSTASH_URL, QSTASH_TOKEN } = process.env;
  const headers = { Authorization: `Bearer ${QSTASH_TOKEN}` };
  // Were this not its development server, the SDK would fetch one: better fail here.
  assert.equal((await fetch(`${QSTASH_URL}/v2/keys`, { headers })).status, 200);
  process.env = {
    PATH: process.env.PATH,
    QSTASH_DEV: "true",
    QSTASH_DEV_PORT: new URL(QSTASH_URL).port,
  };
  const said = t.mock.method(console, "log", () => {});
  const hook = await destination(t);
  await new Client().publish({ url: hook.url, body: "b" });
  const [got] = await hook.wait();
  const signature = got.headers["upstash-signature"];
  assert.equal(await new Receiver().verify({ signature, body: "b", url: hook.url }), true);
  assert.match(said.mock.calls[0].arguments[0], /already running/);
});
