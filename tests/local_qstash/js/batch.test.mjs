import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination } from "./support.mjs";

test("batch mixes URLs, queues and URL groups, with headers of their own", async (t) => {
  const hook = await destination(t);
  const endpoints = [{ url: `${hook.url}/g1` }, { url: `${hook.url}/g2` }];
  await client.urlGroups.addEndpoints({ name: "batched", endpoints });
  const [single, queued, grouped] = await client.batch([
    { url: `${hook.url}/a`, body: "a", headers: { "X-A": "1" } },
    { url: `${hook.url}/b`, queueName: "batched", method: "PUT" },
    { urlGroup: "batched", body: "g" },
  ]);
  assert.match(single.messageId, /^msg_/);
  assert.match(queued.messageId, /^msg_/);
  assert.deepEqual(
    grouped.map((one) => one.url),
    endpoints.map((one) => one.url),
  );
  const came = Object.fromEntries((await hook.wait(4)).map((got) => [got.path, got]));
  assert.deepEqual(Object.keys(came).sort(), ["/a", "/b", "/g1", "/g2"]);
  assert.deepEqual([came["/a"].body, came["/a"].headers["x-a"]], ["a", "1"]);
  assert.equal(came["/b"].method, "PUT");
  assert.deepEqual([came["/g1"].body, came["/g2"].body], ["g", "g"]);
});

test("batchJSON serializes every body", async (t) => {
  const hook = await destination(t);
  const sent = await client.batchJSON([1, 2].map((n) => ({ url: hook.url, body: { n } })));
  const came = await hook.wait(2);
  assert.equal(sent.length, 2);
  assert.deepEqual(came.map((got) => JSON.parse(got.body).n).sort(), [1, 2]);
  assert.deepEqual(
    new Set(came.map((got) => got.headers["content-type"])),
    new Set(["application/json"]),
  );
});

test("a batch of one is answered by a list of one", async (t) => {
  const hook = await destination(t);
  assert.equal((await client.batch([{ url: hook.url }])).length, 1);
});

test("a bad item gets an error in its place and the rest go", async (t) => {
  const hook = await destination(t);
  const [bad, good] = await client.batch([{ url: "nowhere" }, { url: hook.url }]);
  assert.match(bad.error, /invalid scheme/);
  assert.equal((await hook.wait())[0].headers["upstash-message-id"], good.messageId);
});
