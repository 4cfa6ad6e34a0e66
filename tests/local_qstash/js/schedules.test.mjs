import assert from "node:assert/strict";
import { test } from "node:test";

import { client, destination } from "./support.mjs";

const YEARLY = { destination: "https://example.com", cron: "0 0 1 1 *" };

test("a schedule keeps every option it is created with", async () => {
  const { scheduleId } = await client.schedules.create({
    destination: "https://example.com/report",
    cron: "CRON_TZ=Europe/Paris 0 9 * * MON-FRI",
    body: "b",
    method: "PUT",
    delay: 10,
    timeout: "20s",
    retries: 2,
    retryDelay: "1000",
    callback: "https://example.com/callback",
    failureCallback: "https://example.com/failed",
    queueName: "reports",
    label: ["daily", "money"],
    flowControl: { key: "reports", parallelism: 1 },
    headers: { "X-A": "1" },
  });
  const got = await client.schedules.get(scheduleId);
  assert.equal(got.cron, "CRON_TZ=Europe/Paris 0 9 * * MON-FRI");
  assert.deepEqual(
    [got.destination, got.body, got.method],
    ["https://example.com/report", "b", "PUT"],
  );
  assert.deepEqual(
    [got.delay, got.timeout, got.retries, got.retryDelayExpression],
    [10, 20, 2, "1000"],
  );
  assert.deepEqual(got.header["X-A"], ["1"]);
  assert.equal(got.callback, "https://example.com/callback");
  assert.equal(got.failureCallback, "https://example.com/failed");
  assert.deepEqual(
    [got.queueName, got.label, got.labels],
    ["reports", "daily", ["daily", "money"]],
  );
  assert.deepEqual([got.flowControlKey, got.parallelism], ["reports", 1]);
  assert.deepEqual([got.isPaused, got.nextScheduleTime > got.createdAt], [false, true]);
});

test("a schedule is paused, resumed, listed and deleted", async () => {
  const { scheduleId } = await client.schedules.create(YEARLY);
  await client.schedules.pause({ schedule: scheduleId });
  assert.equal((await client.schedules.get(scheduleId)).isPaused, true);
  await client.schedules.resume({ schedule: scheduleId });
  const listed = (await client.schedules.list()).find((one) => one.scheduleId === scheduleId);
  assert.equal(listed.isPaused, false);
  await client.schedules.delete(scheduleId);
  await assert.rejects(client.schedules.get(scheduleId), { status: 404 });
});

test("a schedule with an id of one's own is replaced as a whole", async () => {
  await client.schedules.create({ ...YEARLY, scheduleId: "mine", label: "old" });
  await client.schedules.create({ ...YEARLY, scheduleId: "mine", cron: "0 0 2 2 *" });
  const got = await client.schedules.get("mine");
  assert.deepEqual([got.cron, got.label], ["0 0 2 2 *", undefined]);
});

test("a firing arrives with the id of its schedule", async (t) => {
  const hook = await destination(t);
  const body = JSON.stringify({ due: true });
  const every = { destination: hook.url, cron: "* * * * *", body };
  const { scheduleId } = await client.schedules.create(every);
  const [got] = await hook.wait();
  await client.schedules.delete(scheduleId);
  assert.equal(got.headers["upstash-schedule-id"], scheduleId);
  assert.deepEqual([got.body, got.headers["content-type"]], [body, "application/json"]);
});

test("a bad cron is refused with what is wrong in it", async () => {
  const refused = client.schedules.create({ ...YEARLY, cron: "61 * * * *" });
  await assert.rejects(refused, { status: 400, message: /minute/ });
});
