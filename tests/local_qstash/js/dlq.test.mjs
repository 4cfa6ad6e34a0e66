import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination, eventually } from "./support.mjs";

const broken = () => ({ status: 500, body: "no", headers: { "X-Why": "broken" } });

/** Give up `count` messages with the label, and return their dead letters. */
async function letters(url, label, count) {
  await client.batch(Array.from({ length: count }, () => ({ url, label, body: "b", retries: 0 })));
  return await eventually(async () => {
    const { messages } = await client.dlq.listMessages({ filter: { label } });
    return messages.length === count && messages;
  });
}

test("a dead letter shows its message and the answer it got", async (t) => {
  const hook = await destination(t, broken);
  const [letter] = await letters(hook.url, "shown", 1);
  assert.deepEqual([letter.url, letter.body, letter.maxRetries], [hook.url, "b", 0]);
  assert.deepEqual([letter.responseStatus, letter.responseBody], [500, "no"]);
  assert.deepEqual(letter.responseHeader["X-Why"], ["broken"]);
});

test("filters select dead letters and a cursor pages through them", async (t) => {
  const hook = await destination(t, broken);
  const found = await letters(hook.url, "filtered", 3);
  const ids = found.map((letter) => letter.dlqId);
  const list = async (options) =>
    (await client.dlq.listMessages(options)).messages.map((m) => m.dlqId);
  assert.deepEqual(await list({ filter: { url: hook.url, label: ["filtered", "x"] } }), ids);
  assert.deepEqual(await list({ filter: { label: "filtered", responseStatus: [404, 500] } }), ids);
  assert.deepEqual(await list({ filter: { label: "filtered", responseStatus: 404 } }), []);
  assert.deepEqual(await list({ filter: { messageId: found[1].messageId } }), [ids[1]]);
  assert.deepEqual(await list({ filter: { label: "filtered", toDate: new Date(0) } }), []);
  assert.deepEqual(await list({ dlqIds: ids.slice(0, 2) }), ids.slice(0, 2));
  const filter = { label: "filtered" };
  const first = await client.dlq.listMessages({ filter, count: 2 });
  const rest = await client.dlq.listMessages({ filter, count: 2, cursor: first.cursor });
  assert.deepEqual(
    [...first.messages, ...rest.messages].map((m) => m.dlqId),
    ids,
  );
  assert.equal(rest.cursor, undefined);
});

test("dead letters are deleted one by one, by their ids and by a filter", async (t) => {
  const hook = await destination(t, broken);
  const ids = (await letters(hook.url, "deleted", 6)).map((letter) => letter.dlqId);
  await client.dlq.delete(ids[0]);
  await assert.rejects(client.dlq.delete(ids[0]), { status: 404 });
  assert.deepEqual(await client.dlq.deleteMany({ dlqIds: ids.slice(0, 2) }), { deleted: 1 });
  assert.deepEqual(await client.dlq.delete([ids[2]]), { deleted: 1 });
  const some = await client.dlq.delete({ filter: { label: "deleted" }, count: 2 });
  assert.deepEqual([some.deleted, typeof some.cursor], [2, "string"]);
  const rest = await client.dlq.delete({ filter: { label: "deleted" }, cursor: some.cursor });
  assert.deepEqual(rest, { deleted: 1 });
});

test("dead letters are retried as new messages", async (t) => {
  let healed = false;
  const hook = await destination(t, () => (healed ? {} : broken()));
  const found = await letters(hook.url, "retried", 3);
  healed = true;
  const one = await client.dlq.retry(found[0].dlqId);
  const rest = await client.dlq.retry({ filter: { label: "retried" } });
  const retried = [...one.responses, ...rest.responses].map((response) => response.messageId);
  assert.equal(rest.cursor, undefined);
  const came = (await hook.wait(6)).slice(3);
  assert.deepEqual(came.map((got) => got.headers["upstash-message-id"]).sort(), retried.sort());
  assert.deepEqual((await client.dlq.listMessages({ filter: { label: "retried" } })).messages, []);
});

test("an empty list never comes to mean everything", async (t) => {
  const hook = await destination(t, broken);
  await letters(hook.url, "kept", 1);
  assert.deepEqual(await client.dlq.delete([]), { deleted: 0 });
  await assert.rejects(client.dlq.delete({ dlqIds: [] }), /Empty dlqIds/);
  assert.equal((await client.dlq.listMessages({ filter: { label: "kept" } })).messages.length, 1);
});
