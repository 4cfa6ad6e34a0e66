// A worker for what others publish: verifies, validates, answers; prints a line for each delivery.
import { createServer } from "node:http";
import { Receiver } from "@upstash/qstash";
import { schemaOf } from "./schemas.mjs";

const receiver = new Receiver({
  currentSigningKey: process.env.QSTASH_CURRENT_SIGNING_KEY,
  nextSigningKey: process.env.QSTASH_NEXT_SIGNING_KEY,
});

async function take(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  await receiver.verify({ signature: request.headers["upstash-signature"], body });
  const job = JSON.parse(body);
  const read = schemaOf(job.type).safeParse(job);
  const issues = read.success ? [] : read.error.issues;
  return { path: request.url, job, issues, scheduled: "upstash-schedule-id" in request.headers };
}

const server = createServer(async (request, response) => {
  if (request.url.includes("callback")) return response.end(); // of jobs, which are not ours
  const said = await take(request).catch((error) => ({ issues: [String(error)] }));
  console.log(JSON.stringify(said));
  response.writeHead(said.issues.length ? 489 : 200, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ success: said.issues.length === 0 }));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
