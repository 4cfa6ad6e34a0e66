import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination } from "./support.mjs";

test("a key is made by its first message, and can be paused, pinned and reset", async (t) => {
  const hook = await destination(t);
  const { flowControl } = client;
  const publish = (limits) =>
    client.publish({ url: hook.url, flowControl: { key: "k", ...limits } });
  await flowControl.pause("k");
  await publish({ parallelism: 2, rate: 10, period: 60 });
  let key = await flowControl.get("k");
  assert.deepEqual([key.flowControlKey, key.isPaused, key.waitListSize], ["k", true, 1]);
  assert.deepEqual([key.parallelismMax, key.rateMax, key.ratePeriod], [2, 10, 60]);
  await flowControl.pin("k", { parallelism: 7 });
  await publish({ parallelism: 1, rate: 10, period: 60 });
  key = await flowControl.get("k");
  assert.deepEqual(
    [key.parallelismMax, key.isPinnedParallelism, key.isPinnedRate],
    [7, true, false],
  );
  await flowControl.unpin("k", { parallelism: true });
  await flowControl.resume("k");
  await hook.wait(2);
  assert.equal((await flowControl.get("k")).rateCount, 2);
  await flowControl.resetRate("k");
  assert.equal((await flowControl.get("k")).rateCount, 0);
});

test("an unknown key is not found", async () => {
  await assert.rejects(client.flowControl.get("unknown"), { status: 404 });
});

test("the parallelism of the whole account is shown", async () => {
  const { parallelismMax, parallelismCount } = await client.flowControl.getGlobalParallelism();
  assert.ok(parallelismMax > 0);
  assert.equal(parallelismCount, 0);
});
