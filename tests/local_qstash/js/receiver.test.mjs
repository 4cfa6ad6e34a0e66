import assert from "node:assert/strict";
import { test } from "node:test";

import { Receiver } from "@upstash/qstash";

import { client, destination } from "./support.mjs";

// Read QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY from the environment.
const receiver = new Receiver();

async function delivered(t, body) {
  const hook = await destination(t);
  const url = `${hook.url}/hook?x=1&y=%20`;
  await client.publish({ url, body });
  const [got] = await hook.wait();
  return { url, body: got.body, signature: got.headers["upstash-signature"] };
}

test("the receiver accepts a delivery", async (t) => {
  assert.equal(await receiver.verify(await delivered(t, JSON.stringify({ name: "Zoë" }))), true);
});

test("the receiver accepts a delivery without a body", async (t) => {
  assert.equal(await receiver.verify(await delivered(t)), true);
});

test("the receiver refuses another body, another URL and another key", async (t) => {
  const got = await delivered(t, "b");
  await assert.rejects(receiver.verify({ ...got, body: "c" }), /body hash does not match/);
  await assert.rejects(receiver.verify({ ...got, url: `${got.url}&z=1` }), /invalid subject/);
  const stranger = new Receiver({ currentSigningKey: "sig_a", nextSigningKey: "sig_b" });
  await assert.rejects(stranger.verify(got), { name: "SignatureError" });
});

test("the receiver accepts deliveries after the keys have been rotated", async (t) => {
  const headers = { Authorization: `Bearer ${process.env.QSTASH_TOKEN}` };
  const rotated = await fetch(`${process.env.QSTASH_URL}/v2/keys/rotate`, {
    method: "POST",
    headers,
  });
  assert.equal((await rotated.json()).current, process.env.QSTASH_NEXT_SIGNING_KEY);
  assert.equal(await receiver.verify(await delivered(t, "b")), true);
});
