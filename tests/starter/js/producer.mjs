// A producer after the guide: its dispatcher, and every example that enqueues, by its heading.
// Prints the ids of what it enqueued.
import { randomUUID } from "node:crypto";
import { Client } from "@upstash/qstash";
import { integer, jsonb, pgTable, serial, text, timestamp, varchar } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";

const executions = pgTable("job_executions", {
  id: serial("id").primaryKey(),
  jobId: varchar("job_id", { length: 255 }).notNull().unique(),
  jobType: varchar("job_type", { length: 100 }).notNull(),
  status: varchar("status", { length: 50 }).notNull(),
  payload: jsonb("payload").notNull(),
  result: jsonb("result"),
  error: text("error"),
  retryCount: integer("retry_count").default(0).notNull(),
  userId: integer("user_id"),
  organizationId: integer("organization_id"),
  startedAt: timestamp("started_at"),
  completedAt: timestamp("completed_at"),
  createdAt: timestamp("created_at").defaultNow().notNull(),
  updatedAt: timestamp("updated_at").defaultNow().notNull(),
});

const REGISTRY = {
  "send-email": { path: "/api/jobs/email", retries: 3 },
  "process-webhook": { path: "/api/jobs/webhook", retries: 3 },
  "process-stripe-webhook": { path: "/api/jobs/stripe-webhook", retries: 5 },
  "export-data": { path: "/api/jobs/export", retries: 2 },
  "generate-report": { path: "/api/jobs/report", retries: 2 },
  "cleanup-old-data": { path: "/api/jobs/cleanup", retries: 1 },
};
const connection = postgres(process.env.DATABASE_URL, { max: 1 });
const db = drizzle(connection);
const qstash = new Client({
  baseUrl: process.env.QSTASH_URL, token: process.env.QSTASH_TOKEN, enableTelemetry: false,
});

const bodyOf = (type, payload, metadata) => ({
  jobId: randomUUID(),
  type,
  payload,
  metadata: { ...metadata, createdAt: new Date().toISOString() },
});
const urlOf = (type) => process.env.BASE_URL + REGISTRY[type].path;

async function enqueue(type, payload, metadata = {}, options = {}) {
  const job = bodyOf(type, payload, metadata);
  const { userId, organizationId } = metadata;
  await db.insert(executions).values({
    jobId: job.jobId, jobType: type, status: "pending", payload: job, userId, organizationId,
  });
  await qstash.publishJSON({
    url: urlOf(type),
    body: job,
    retries: options.retries ?? REGISTRY[type].retries,
    ...(options.delay && { delay: Math.floor(options.delay / 1000) }),
    ...(options.callback && { callback: options.callback }),
    ...(options.headers && { headers: options.headers }),
  });
  return job.jobId;
}

async function schedule(type, cron, payload, metadata = {}) {
  const body = JSON.stringify(bodyOf(type, payload, metadata));
  const made = await qstash.schedules.create({ destination: urlOf(type), cron, body });
  return made.scheduleId;
}

const USER = { userId: 123 };
const BOTH = { userId: 123, organizationId: 456 };
const github = { action: "opened", number: 7, pull_request: { title: "Mend it", merged: null } };
const email = (template, to, data) => ({ template, to, data });

const john = email("welcome", "user@example.com", { recipientName: "John Doe" });
const subscription = {
  id: "sub_1", object: "subscription", customer: "cus_1", status: "active", metadata: {},
  cancel_at_period_end: false, canceled_at: null,
  items: { object: "list", data: [{
    id: "si_1", object: "subscription_item", current_period_end: 1767225600,
    price: { id: "price_1", product: "prod_1", unit_amount: 2999, currency: "usd",
      recurring: { interval: "month", interval_count: 1 } }, quantity: 1,
  }] },
};

const EXAMPLES = {
  verifySetup: () =>
    enqueue("send-email", email("welcome", "test@example.com", { recipientName: "Test User" }),
      { userId: 1 }),
  defaultRetries: () => enqueue("send-email", john),
  customRetries: () => enqueue("send-email", john, {}, { retries: 5 }),
  basic: () => enqueue("send-email", john),
  withMetadata: () =>
    enqueue("send-email", john, { ...BOTH, idempotencyKey: "unique-operation-id" }),
  withOptions: () =>
    enqueue("send-email", john, USER, {
      delay: 60000, retries: 5, callback: "https://example.com/callback",
      headers: { "X-Custom": "value" },
    }),
  apiReference: () =>
    enqueue("send-email", email("welcome", "user@example.com", {}), USER,
      { retries: 5, delay: 60000 }),
  welcome: () => enqueue("send-email", john, USER),
  teamInvitation: () =>
    enqueue("send-email", email("teamInvitation", "invited@example.com", {
      recipientName: "Jane Doe", inviterName: "John Doe", organizationName: "Acme Corp",
      invitationUrl: "https://example.com/invite/token",
    }), BOTH),
  paymentFailed: () =>
    enqueue("send-email", email("paymentFailed", "user@example.com", {
      recipientName: "John Doe", amountDue: "29.99",
      paymentDetailsUrl: "https://example.com/app/settings/billing",
    }), BOTH),
  stripeWebhook: () =>
    enqueue("process-stripe-webhook", {
      eventType: "customer.subscription.updated", eventData: subscription,
      ipAddress: "203.0.113.7",
    }),
  passwordReset: () =>
    enqueue("send-email", email("passwordReset", "user@example.com", {
      recipientName: "John Doe", resetUrl: "https://example.com/reset/token",
    }), USER),
  subscriptionCreated: () =>
    enqueue("send-email", email("subscriptionCreated", "user@example.com", {
      recipientName: "John Doe", planName: "Pro Plan", amount: "29.99",
      dashboardUrl: "https://example.com/app/general",
    }), BOTH),
  genericWebhook: () =>
    enqueue("process-webhook", { source: "github", event: "pull_request", data: github }),
  report: () =>
    enqueue("generate-report", {
      reportType: "monthly-analytics", startDate: "2025-01-01", endDate: "2025-01-31",
      format: "pdf",
    }, BOTH),
  exportUsers: () =>
    enqueue("export-data", {
      entityType: "users", format: "csv", filters: { createdAfter: "2025-01-01" },
    }, BOTH),
  cleanupAt2: () =>
    schedule("cleanup-old-data", "0 2 * * *", { retention: 30 }, { organizationId: 456 }),
  cleanupAt3: () => schedule("cleanup-old-data", "0 3 * * *", { retention: 90 }),
};

const made = {};
for (const name of process.argv.slice(2)) made[name] = await EXAMPLES[name]();
await connection.end();
console.log(JSON.stringify(made));
