import assert from "node:assert/strict";
import { test } from "node:test";

import { NOWHERE, client, destination, eventually } from "./support.mjs";

test("a queue is made, changed, listed and deleted", async () => {
  const queue = client.queue({ queueName: "made" });
  await queue.upsert({ parallelism: 3 });
  const { createdAt, updatedAt, ...rest } = await queue.get();
  assert.deepEqual(rest, { name: "made", parallelism: 3, lag: 0, paused: false });
  assert.ok(updatedAt >= createdAt);
  await queue.upsert({ parallelism: 1, paused: true });
  const listed = (await queue.list()).find((one) => one.name === "made");
  assert.deepEqual([listed.parallelism, listed.paused], [1, true]);
  await queue.delete();
  await queue.delete();
  await assert.rejects(queue.get(), { status: 404 });
});

test("messages are delivered in the order of their acceptance", async (t) => {
  const hook = await destination(t);
  const queue = client.queue({ queueName: "ordered" });
  await queue.enqueue({ url: hook.url, body: "1" });
  await queue.enqueueJSON({ url: hook.url, body: 2 });
  await queue.enqueue({ url: hook.url, body: "3" });
  assert.deepEqual(
    (await hook.wait(3)).map((got) => got.body),
    ["1", "2", "3"],
  );
});

test("a paused queue accepts but starts nothing until it is resumed", async (t) => {
  const hook = await destination(t);
  const queue = client.queue({ queueName: "paused" });
  await queue.upsert({});
  await queue.pause();
  const { messageId } = await queue.enqueue({ url: hook.url });
  assert.deepEqual([(await queue.get()).paused, (await queue.get()).lag], [true, 1]);
  assert.equal((await client.messages.get(messageId)).queueName, "paused");
  assert.equal(hook.received.length, 0);
  await queue.resume();
  await hook.wait();
  await eventually(async () => (await queue.get()).lag === 0);
});

test("a queue that does not exist is made by the first message", async () => {
  const queue = client.queue({ queueName: "fresh" });
  await queue.enqueue({ url: NOWHERE, retries: 0 });
  assert.equal((await queue.get()).parallelism, 1);
});
