import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination, eventually } from "./support.mjs";

/** Return the log of a message, newest first, once it has reached `state`. */
const until = (messageId, state) =>
  eventually(async () => {
    const { logs } = await client.logs({ messageIds: [messageId] });
    return logs.some((entry) => entry.state === state) && logs;
  });

test("a delivered message went through three states, newest first", async (t) => {
  const hook = await destination(t);
  const { messageId } = await client.publish({ url: hook.url, body: "b", label: "log" });
  const logs = await until(messageId, "DELIVERED");
  assert.deepEqual(
    logs.map((entry) => entry.state),
    ["DELIVERED", "ACTIVE", "CREATED"],
  );
  assert.deepEqual([logs[0].url, logs[0].label, atob(logs[0].body)], [hook.url, "log", "b"]);
  const { events } = await client.events({ filter: { messageId } });
  assert.deepEqual(events, logs);
});

test("a failure is logged with the answer and the time of the next attempt", async (t) => {
  const answers = [{ status: 503, body: "busy" }];
  const hook = await destination(t, () => answers.pop() ?? {});
  const { messageId } = await client.publish({ url: hook.url, retryDelay: "10" });
  const logs = await until(messageId, "DELIVERED");
  const states = logs.map((entry) => entry.state).reverse();
  assert.deepEqual(states, ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED"]);
  const [error, retry] = [logs.at(-3), logs.at(-4)];
  assert.deepEqual([error.responseStatus, atob(error.responseBody)], [503, "busy"]);
  assert.ok(retry.nextDeliveryTime > 0);
});

test("filters select entries and a cursor pages through them", async (t) => {
  const hook = await destination(t);
  const { host } = new URL(hook.url);
  const url = `${hook.url}/filtered`;
  const { messageId } = await client.publish({ url, label: "filtered" });
  const logs = await until(messageId, "DELIVERED");
  const count = async (filter) => (await client.logs({ filter })).logs.length;
  for (const filter of [{ url }, { host }, { path: "/filtered" }, { label: ["filtered", "x"] }])
    assert.equal(await count(filter), 3, JSON.stringify(filter));
  assert.equal(await count({ url, state: "DELIVERED" }), 1);
  assert.equal(await count({ url, state: "IN_PROGRESS" }), 1);
  assert.equal(await count({ url, fromDate: new Date(Date.now() + 60_000) }), 0);
  assert.equal(await count({ url, urlGroup: "none" }), 0);
  const first = await client.logs({ filter: { url }, count: 2 });
  const rest = await client.logs({ filter: { url }, count: 2, cursor: first.cursor });
  assert.deepEqual([...first.logs, ...rest.logs], logs);
  assert.equal(rest.cursor, undefined);
});
