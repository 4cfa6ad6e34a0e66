import assert from "node:assert/strict";
import { test } from "node:test";

import { NOWHERE, client } from "./support.mjs";

const later = async (options = {}) =>
  (await client.publish({ url: NOWHERE, delay: "1d", ...options })).messageId;

test("a waiting message can be looked at", async () => {
  const messageId = await later({ body: "b", headers: { "X-A": "1" } });
  const got = await client.messages.get(messageId);
  assert.deepEqual(
    [got.messageId, got.url, got.method, got.body],
    [messageId, NOWHERE, "POST", "b"],
  );
  assert.deepEqual(got.header["X-A"], ["1"]);
});

test("a cancelled message is gone and its log says so", async () => {
  const messageId = await later();
  assert.deepEqual(await client.messages.cancel(messageId), { cancelled: 1 });
  await assert.rejects(client.messages.get(messageId), { status: 404 });
  await assert.rejects(client.messages.delete(messageId), { status: 404 });
  const { logs } = await client.logs({ messageIds: [messageId] });
  assert.equal(logs[0].state, "CANCEL_REQUESTED");
});

test("messages are cancelled by their ids", async () => {
  const ids = [await later(), await later(), await later()];
  assert.deepEqual(await client.messages.cancel(ids.slice(0, 2)), { cancelled: 2 });
  assert.equal(await client.messages.deleteMany(ids), 1);
});

test("messages are cancelled by filters, several of which all have to hold", async () => {
  await later({ label: "red", url: `${NOWHERE}/a` });
  await later({ label: ["red", "green"], url: `${NOWHERE}/b` });
  await later({ label: "blue", flowControl: { key: "cancelled", rate: 1 } });
  const cancel = async (filter) => (await client.messages.cancel({ filter })).cancelled;
  assert.equal(await cancel({ label: ["red", "blue"], path: "/b" }), 1);
  assert.equal(await cancel({ flowControlKey: "cancelled" }), 1);
  assert.equal(await cancel({ url: [`${NOWHERE}/a`, `${NOWHERE}/b`] }), 1);
});

test("all of them are cancelled, however many the SDK asks for", async () => {
  await client.messages.deleteAll();
  await client.batch(Array.from({ length: 120 }, () => ({ url: NOWHERE, delay: "1d" })));
  // The SDK sends count=100 with it and promises that nothing is left.
  assert.deepEqual(await client.messages.cancel({ all: true }), { cancelled: 120 });
  assert.equal(await client.messages.deleteAll(), 0);
});

test("an empty list never comes to mean everything", async () => {
  const messageId = await later();
  assert.deepEqual(await client.messages.cancel([]), { cancelled: 0 });
  await assert.rejects(client.messages.cancel({ messageIds: [] }), /Empty messageIds/);
  assert.equal((await client.messages.get(messageId)).messageId, messageId);
});
