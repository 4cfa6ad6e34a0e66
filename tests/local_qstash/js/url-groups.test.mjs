import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination } from "./support.mjs";

const A = { url: "http://a.test", name: "one" };
const B = { url: "http://b.test" };

test("a URL group is filled, listed, emptied and deleted", async () => {
  await client.urlGroups.addEndpoints({ name: "g", endpoints: [A] });
  await client.urlGroups.addEndpoints({ name: "g", endpoints: [B] });
  const group = await client.urlGroups.get("g");
  assert.deepEqual([group.name, group.endpoints], ["g", [A, B]]);
  await client.urlGroups.removeEndpoints({ name: "g", endpoints: [{ name: "one" }] });
  assert.deepEqual(
    (await client.urlGroups.list()).map((one) => one.endpoints),
    [[B]],
  );
  await client.urlGroups.delete("g");
  await client.urlGroups.delete("g");
  await assert.rejects(client.urlGroups.get("g"), { status: 404 });
});

test("a group vanishes with its last endpoint", async () => {
  await client.urlGroups.addEndpoints({ name: "last", endpoints: [B] });
  await client.urlGroups.removeEndpoints({ name: "last", endpoints: [{ url: B.url }] });
  await assert.rejects(client.urlGroups.get("last"), { status: 404 });
});

test("a publish to a group goes to every endpoint", async (t) => {
  const hook = await destination(t);
  const endpoints = [{ url: `${hook.url}/a`, name: "first" }, { url: `${hook.url}/b` }];
  await client.urlGroups.addEndpoints({ name: "fan", endpoints });
  const sent = await client.publishJSON({ urlGroup: "fan", body: { n: 1 } });
  const came = await hook.wait(2);
  assert.deepEqual(
    sent.map((one) => one.url),
    endpoints.map((one) => one.url),
  );
  assert.deepEqual(came.map((got) => got.path).sort(), ["/a", "/b"]);
  assert.equal(came[0].headers["upstash-topic-name"], "fan");
  const message = await client.messages.get(sent[0].messageId);
  assert.deepEqual([message.urlGroup, message.endpointName], ["fan", "first"]);
});
