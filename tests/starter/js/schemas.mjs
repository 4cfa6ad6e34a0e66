// What the guide demands of a job, in zod: the base of all, and each type's payload.
import { z } from "zod";

const Metadata = z.object({
  userId: z.number().optional(),
  organizationId: z.number().optional(),
  idempotencyKey: z.string().optional(),
  createdAt: z.string(),
});

export const Base = z.object({
  jobId: z.string().uuid(),
  type: z.string(),
  payload: z.record(z.unknown()),
  metadata: Metadata,
});

const TEMPLATES = [
  "welcome", "passwordReset", "passwordChanged", "emailChange", "teamInvitation",
  "subscriptionCreated", "paymentFailed",
];

const PAYLOADS = {
  "send-email": z.object({
    template: z.enum(TEMPLATES),
    to: z.string().email(),
    data: z.record(z.string().or(z.number())),
  }),
  "process-webhook": z.object({
    source: z.string(),
    event: z.string(),
    data: z.record(z.unknown()),
  }),
  "process-stripe-webhook": z.object({
    eventType: z.string(),
    eventData: z.record(z.unknown()),
    ipAddress: z.string().optional(),
  }),
  "export-data": z.object({
    entityType: z.string(),
    format: z.enum(["csv", "json", "xlsx", "ndjson", "parquet"]),
    filters: z.record(z.unknown()).optional(),
    columns: z.array(z.string()).optional(),
  }),
  "generate-report": z.object({
    reportType: z.string(),
    startDate: z.string(),
    endDate: z.string(),
    format: z.enum(["pdf", "csv", "json", "xlsx", "html"]),
  }),
  "cleanup-old-data": z.object({ retention: z.number() }),
  "create-notification": z.object({ title: z.string(), body: z.string().optional() }),
};

/** Return the schema of a job type; one that the guide does not have need only fit the base. */
export const schemaOf = (type) =>
  Base.extend({ type: z.literal(type), payload: PAYLOADS[type] ?? z.record(z.unknown()) });
