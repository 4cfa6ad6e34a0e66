import assert from "node:assert/strict";
import { test } from "node:test";

import { custom } from "@upstash/qstash";

import { NOWHERE, client, destination } from "./support.mjs";

test("publish delivers the body, the method and the headers", async (t) => {
  const hook = await destination(t);
  const url = `${hook.url}/a%2Fb?x=1&y=%20`;
  const sent = await client.publish({ url, method: "PUT", body: "raw", headers: { "X-A": "b" } });
  const [got] = await hook.wait();
  assert.equal(sent.url, url);
  assert.deepEqual([got.method, got.path, got.body], ["PUT", "/a%2Fb?x=1&y=%20", "raw"]);
  assert.equal(got.headers["x-a"], "b");
  assert.equal(got.headers["upstash-message-id"], sent.messageId);
});

test("publishJSON serializes the body and says so", async (t) => {
  const hook = await destination(t);
  await client.publishJSON({ url: hook.url, body: { name: "Zoë" } });
  const [got] = await hook.wait();
  assert.deepEqual(JSON.parse(got.body), { name: "Zoë" });
  assert.equal(got.headers["content-type"], "application/json");
  // The SDK tells the server about itself; that is no business of the destination.
  assert.ok(!Object.keys(got.headers).some((name) => name.startsWith("upstash-telemetry")));
});

test("every option of a publish is kept", async () => {
  const { messageId } = await client.publishJSON({
    url: NOWHERE,
    body: 1,
    delay: 86_400,
    retries: 5,
    retryDelay: "1000 * (1 + retried)",
    timeout: "30s",
    callback: `${NOWHERE}/callback`,
    failureCallback: `${NOWHERE}/failed`,
    label: ["blue", "green"],
    flowControl: { key: "options", rate: 3, parallelism: 2, period: "2m" },
    headers: { "Upstash-Callback-Forward-X-Mine": "1" },
  });
  const got = await client.messages.get(messageId);
  assert.ok(got.notBefore > got.createdAt);
  assert.equal(got.maxRetries, 5);
  assert.equal(got.retryDelayExpression, "1000 * (1 + retried)");
  assert.deepEqual(
    [got.callback, got.failureCallback],
    [`${NOWHERE}/callback`, `${NOWHERE}/failed`],
  );
  assert.deepEqual(got.callbackHeader, { "X-Mine": ["1"] });
  assert.deepEqual([got.label, got.labels], ["blue", ["blue", "green"]]);
  assert.deepEqual(
    [got.flowControlKey, got.rate, got.ratePerSecond, got.parallelism, got.period],
    ["options", 3, 3, 2, 120],
  );
});

test("a message waits for notBefore", async () => {
  const notBefore = Date.now() / 1000 + 3600;
  const { messageId } = await client.publish({ url: NOWHERE, notBefore });
  const got = await client.messages.get(messageId);
  assert.ok(got.notBefore > got.createdAt);
});

test("a duplicate gets the first one's id", async () => {
  const same = { url: NOWHERE, delay: "1h", deduplicationId: "once" };
  const first = await client.publish(same);
  const again = await client.publish(same);
  assert.deepEqual([first.deduplicated, again.deduplicated], [undefined, true]);
  assert.equal(again.messageId, first.messageId);
});

test("the content can be what makes a duplicate", async () => {
  const publish = (body) =>
    client.publishJSON({ url: NOWHERE, delay: "1h", body, contentBasedDeduplication: true });
  const sent = [await publish({ a: 1 }), await publish({ a: 1 }), await publish({ a: 2 })];
  assert.deepEqual(
    sent.map((one) => one.deduplicated ?? false),
    [false, true, false],
  );
});

test("redacted fields are hidden from outputs and delivered all the same", async (t) => {
  const hook = await destination(t);
  const redact = { body: true, header: ["X-Secret"] };
  const headers = { "X-Secret": "s", "X-Plain": "p" };
  const { messageId } = await client.publish({ url: hook.url, body: "b", headers, redact });
  const [got] = await hook.wait();
  const { logs } = await client.logs({ messageIds: [messageId] });
  assert.deepEqual([got.body, got.headers["x-secret"]], ["b", "s"]);
  assert.match(logs[0].body, /^REDACTED:[0-9a-f]{64}$/);
  assert.match(logs[0].header["X-Secret"][0], /^REDACTED:/);
  assert.deepEqual(logs[0].header["X-Plain"], ["p"]);
});

test("a callback reports what the destination answered", async (t) => {
  const hook = await destination(t, ({ path }) => (path === "/work" ? { body: "done" } : {}));
  await client.publish({ url: `${hook.url}/work`, callback: `${hook.url}/callback` });
  const [, callback] = await hook.wait(2);
  const report = JSON.parse(callback.body);
  assert.deepEqual([callback.path, report.status], ["/callback", 200]);
  assert.equal(atob(report.body), "done");
});

test("a provider of language models is an ordinary publish", async (t) => {
  const hook = await destination(t);
  const provider = custom({ baseUrl: hook.url, token: "secret" });
  await client.publishJSON({
    api: { name: "llm", provider },
    body: { model: "m" },
    callback: `${hook.url}/callback`,
  });
  const [got] = await hook.wait();
  assert.equal(got.path, "/v1/chat/completions");
  assert.equal(got.headers.authorization, "Bearer secret");
});

test("what is refused arrives as the SDK's error with its status", async () => {
  const refused = client.publish({ url: "nowhere" });
  await assert.rejects(refused, { name: "QstashError", status: 400, message: /invalid scheme/ });
});
